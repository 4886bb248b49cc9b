"""What Schemathesis is told besides the document: not to take its own caller's account and token away, or it would test nothing
but 401 from then on; and that an id which an answer says is null is none to ask for."""

import os

import schemathesis

OWN = set(os.environ["LYCHGATE_TEST_OWN"].split())
NOBODY = "01920000-0000-7000-8000-000000000000"


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path_parameters or {}
    if "None" in map(str, path.values()):
        case.path_parameters = {name: NOBODY if str(value) == "None" else value for name, value in path.items()}
    if case.method in ("DELETE", "POST") and OWN & set(map(str, path.values())):
        case.path_parameters = dict.fromkeys(path, NOBODY)
