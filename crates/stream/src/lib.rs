//! Body and stream pieces: tee, end-of-stream hook, deadlines
