# What looks at files, as the program left them: stat, listings, the working directory.


def diverted_stat(path, **rest):
    if isinstance(path, int) or rest.get("dir_fd") is not None:
        return os_originals["stat"](path, **rest)
    place = place_read(path, rest.get("follow_symlinks", True))
    return with_own_names(os_originals["lstat"], place)


def diverted_lstat(path, **rest):
    return diverted_stat(path, follow_symlinks=False, **rest)


def diverted_look(name):
    """A function that only looks at its first argument."""
    original = os_originals[name]

    def look(path=None, *args, **kwargs):
        if isinstance(path, int) or kwargs.get("dir_fd") is not None:
            return original(path, *args, **kwargs)
        follow = kwargs.get("follow_symlinks", name != "readlink")
        return with_own_names(original, place_read("." if path is None else path, follow), *args, **kwargs)

    return look


def diverted_getcwd():
    return as_seen(".").rstrip(".").rstrip("/") or "/"


def diverted_listdir(path="."):
    if isinstance(path, int):
        return os_originals["listdir"](path)
    seen = resolved("." if path is None else path)
    kept, names, found = copy_root + seen, [], False
    for place in [kept] if is_gone(seen) else [seen, kept]:
        if os_originals["access"](place, os.F_OK) or place == seen and not lexists(kept):
            names += with_own_names(os_originals["listdir"], place)
            found = True
    if not found:
        raise system_error(errno.ENOENT, path)
    names = [name for name in dict.fromkeys(names) if lexists(place_of(seen.rstrip("/") + "/" + name))]
    return [os.fsencode(name) for name in names] if isinstance(path, bytes) else names


class Entry:
    """What `os.scandir` gives for one name."""

    def __init__(self, directory, name):
        self.name = name
        self.path = os.path.join(directory, name)

    def __fspath__(self):
        return self.path

    def stat(self, follow_symlinks=True):
        return diverted_stat(self.path, follow_symlinks=follow_symlinks)

    def inode(self):
        return self.stat(follow_symlinks=False).st_ino

    def is_kind(self, kind, follow_symlinks):
        try:
            return self.stat(follow_symlinks=follow_symlinks).st_mode & KIND == kind
        except OSError:
            return False

    def is_dir(self, follow_symlinks=True):
        return self.is_kind(DIRECTORY, follow_symlinks)

    def is_file(self, follow_symlinks=True):
        return self.is_kind(REGULAR, follow_symlinks)

    def is_symlink(self):
        return self.is_kind(LINK, False)

    def is_junction(self):
        return False


class Scan:
    """What `os.scandir` gives."""

    def __init__(self, found):
        self.found = iter(found)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.found)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.found = iter(())


def diverted_scandir(path="."):
    if isinstance(path, int):
        return os_originals["scandir"](path)
    path = "." if path is None else os.fspath(path)
    return Scan([Entry(path, name) for name in diverted_listdir(path)])
