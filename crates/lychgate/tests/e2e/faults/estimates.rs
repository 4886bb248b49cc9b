//! How far the tokens on record are from those that the provider bills, where the final count never came.

use super::bill::Tokens;
use std::fmt;

/// So far the estimates may be off in the mean, in percent.
const MOST_OFF: f64 = 15.0;
/// Fewer than these say nothing of the mean.
const LEAST: usize = 100;

/// Sums over requests.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Estimates {
    count: usize,
    estimated: Tokens,
    billed: Tokens,
    /// Percent by which single estimates are off, up or down.
    off: f64,
}

impl Estimates {
    pub(super) fn add(&mut self, estimated: Tokens, billed: Tokens) {
        self.count += 1;
        self.estimated += estimated;
        self.billed += billed;
        self.off += deviation(estimated.all(), billed.all()).abs();
    }

    pub(super) fn add_all(&mut self, others: Self) {
        self.count += others.count;
        self.estimated += others.estimated;
        self.billed += others.billed;
        self.off += others.off;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Of input and output, in percent of the bill.
    fn means(&self) -> [f64; 2] {
        [
            deviation(self.estimated.input, self.billed.input),
            deviation(self.estimated.output, self.billed.output),
        ]
    }

    /// What is wrong with them, if anything.
    pub(super) fn wrong(&self) -> Option<String> {
        let too_far = self.means().into_iter().any(|mean| mean.abs() > MOST_OFF);
        (self.count >= LEAST && too_far).then(|| format!("the estimates are off by more than {MOST_OFF} %: {self}"))
    }
}

impl fmt::Display for Estimates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [input, output] = self.means();
        let single = self.off / self.count.max(1) as f64;
        write!(
            f,
            "input {input:+.1} %, output {output:+.1} %; one by itself {single:.1} %"
        )
    }
}

/// In percent.
fn deviation(estimated: u64, billed: u64) -> f64 {
    if billed == 0 {
        return if estimated == 0 { 0.0 } else { 100.0 };
    }
    (estimated as f64 / billed as f64 - 1.0) * 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: usize, output: u64) -> Estimates {
        let mut all = Estimates::default();
        for _ in 0..count {
            let input = 40;
            all.add(Tokens { input, output }, Tokens { input, output: 100 });
        }
        all
    }

    #[test]
    fn estimates_that_are_off_in_the_mean_are_found_where_there_are_enough() {
        assert_eq!(of(LEAST, 115).wrong(), None);
        for output in [84, 116] {
            let wrong = of(LEAST, output).wrong().unwrap();
            assert!(wrong.contains("input +0.0 %, output "), "{wrong}");
            assert_eq!(of(LEAST - 1, output).wrong(), None);
        }
        let mut mixed = of(LEAST / 2, 50);
        mixed.add_all(of(LEAST / 2, 150));
        assert_eq!(mixed.to_string(), "input +0.0 %, output +0.0 %; one by itself 35.7 %");
        assert_eq!(mixed.count(), LEAST);
    }
}
