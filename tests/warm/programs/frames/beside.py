def fail():
    raise OSError("beside")
