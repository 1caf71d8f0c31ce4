from . import inner

CONSTANT = inner.NAME


def late():
    from .inner import NAME

    return NAME


def __getattr__(name):
    if name == "computed":
        return "computed"
    raise AttributeError(name)
