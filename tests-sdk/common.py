"""What the conversations of both SDKs share."""

from concurrent.futures import ThreadPoolExecutor

# So many words that the `slow` scenario, which repeats them, takes several seconds: a client that leaves early leaves mid-stream.
LONG = " ".join(["word"] * 200)

# How the first of two tries fails, and its outcome on record. The head of `late` comes later than the client waits.
TRIES = [("error-429", "failed"), ("error-500", "failed"), ("late", "client_aborted")]


def scenario(name):
    """The header that makes the scripted provider play this scenario; several, apart by commas: one for each try."""
    return {"x-scripted": name}


def raises(kind, call):
    """Runs the call, which must raise exactly this kind of error, and returns the error."""
    try:
        call()
    except Exception as error:
        assert type(error) is kind, f"expected {kind.__name__}, got {type(error).__name__}: {error}"
        return error
    raise AssertionError(f"expected {kind.__name__}, but nothing was raised")


def recorded(model, *outcomes):
    """Tells the test which interceptions of this model must be on record, each by its outcome, oldest first."""
    # In one piece: threads would mix theirs.
    print(f"recorded {model} {' '.join(outcomes)}\n", end="", flush=True)


def tried(client, **steps):
    """Runs the steps of a conversation, each by its name, and tells the test which they were."""
    for name, step in steps.items():
        step(client)
        print(f"tried {name}\n", end="", flush=True)


def together(*calls):
    """Makes these calls at a time, since they mostly wait; the first error is raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        for made in [pool.submit(call) for call in calls]:
            made.result()
