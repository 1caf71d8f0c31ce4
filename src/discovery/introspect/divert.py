# The private copy: what a watched program writes before its parser is asked goes there, and what it
# reads afterwards comes from there. The real files stay as they are; the server removes the copy.
#
# Compiled when a program changes something for the first time. A path of the program's stands for
# the same path below the copy's directory where that exists, for nothing where the program removed
# it, and else for the real file. Directories of the copy only hold what was changed in them.

MAX_TOTAL = 64 << 20  # bytes of all files, looked at whenever one is added
MAX_ENTRIES = 200  # files and directories
MAX_LINKS = 40

gone = set()  # real paths that the program removed
entries = []


def system_error(number, path):
    return OSError(number, os.strerror(number), path)


def lexists(path):
    try:
        os_originals["lstat"](path)
    except OSError:
        return False
    return True


def as_seen(path):
    """A path as the program knows it, absolute."""
    path = os.path.join(os_originals["getcwd"](), os.fsdecode(path))
    return path[len(copy_root):] or "/" if path == copy_root or path.startswith(copy_root + "/") else path


def resolved(path, follow=True):
    """The path that the program means, absolute and without symbolic links; the last one only if `follow`."""
    left, here, links = parts_of(as_seen(path)), "/", 0
    while left:
        part = left.pop()
        if part == "..":
            here = os.path.dirname(here)
            continue
        step = here.rstrip("/") + "/" + part
        target = link_at(step) if left or follow else None
        if target is None:
            here = step
            continue
        links += 1
        if links > MAX_LINKS:
            raise system_error(errno.ELOOP, path)
        left.extend(parts_of(target))
        here = "/" if target.startswith("/") else here
    return here


def parts_of(path):
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def link_at(path):
    try:
        target = os_originals["readlink"](place_of(path))
    except OSError:
        return None
    return as_seen(target) if target.startswith("/") else target


def place_of(path):
    """Where what the program sees at a resolved path is kept."""
    kept = copy_root + path
    return kept if is_gone(path) or lexists(kept) else path


def is_gone(path):
    while len(path) > 1:
        if path in gone:
            return True
        path = os.path.dirname(path)
    return False


def place_read(path, follow=True):
    return place_of(resolved(path, follow))


def admitted():
    """Makes sure that there is room for one more entry."""
    sizes = {kept: os_originals["lstat"](kept).st_size for kept in entries if lexists(kept)}
    entries[:] = sizes  # what was removed gives its room back
    total = sum(sizes.values())
    if len(entries) >= MAX_ENTRIES or total > MAX_TOTAL:
        refuse("writes more than the %d files or %d bytes that are kept for it" % (MAX_ENTRIES, MAX_TOTAL), "full")


def mirrored(directory):
    """Makes a directory that the program sees exist in the copy as well."""
    if lexists(copy_root + directory) or not os.path.isdir(place_of(directory)):
        return
    above = os.path.dirname(directory)
    # Where the copy itself is gone, the root is not in it either.
    if above != directory:
        mirrored(above)
    make_directory(copy_root + directory, 0o700)


def make_directory(kept, mode):
    permitted(os_originals["mkdir"], kept, mode)
    # Whatever the umask: or neither the program could go on there nor the server remove it.
    permitted(os_originals["chmod"], kept, os_originals["lstat"](kept).st_mode & 0o7777 | 0o700)


def new_place(path):
    """Where something new is to be kept."""
    admitted()
    mirrored(os.path.dirname(path))
    entries.append(copy_root + path)
    return copy_root + path


def copied(path, content=True):
    """Where a resolved path can be changed, with what stands there at first."""
    import stat

    kept = copy_root + path
    if lexists(kept):
        return kept
    place = place_of(path)
    kind = os_originals["lstat"](place).st_mode if lexists(place) else 0
    if kind and not (stat.S_ISREG(kind) or stat.S_ISDIR(kind) or stat.S_ISLNK(kind)):
        refuse("changes %s, which is no regular file" % path)
    if stat.S_ISDIR(kind):
        mirrored(path)
        return kept
    new_place(path)
    if stat.S_ISLNK(kind):
        permitted(os_originals["symlink"], os_originals["readlink"](place), kept)
    elif kind and content:
        fill(place, kept)
    return kept


def fill(place, kept):
    if os_originals["lstat"](place).st_size > MAX_WRITTEN:
        refuse("changes %s, which has more than %d bytes" % (as_seen(place), MAX_WRITTEN), "full")
    with open_original(place, "rb") as source:
        with permitted(open_original, kept, "wb") as target:
            while True:
                data = source.read(1 << 20)
                if not data:
                    break
                target.write(data)


def permitted(function, *args, **kwargs):
    """Does something that the guard would refuse, because it was led into the copy."""
    before = getattr(permit, "on", False)
    permit.on = True
    try:
        return with_own_names(function, *args, **kwargs)
    finally:
        permit.on = before


def with_own_names(function, *args, **kwargs):
    """Calls a function of the system's; an error names the files as the program knows them."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        for member in ("filename", "filename2"):
            name = getattr(error, member)
            if isinstance(name, str) and name.startswith(copy_root):
                setattr(error, member, as_seen(name))
        raise


def place_written(path, truncates, appends):
    """Where a file can be written to that the program opens."""
    path = resolved(path)
    if lexists(copy_root + path):
        return copy_root + path
    place = place_of(path)
    try:
        size = os_originals["lstat"](place).st_size
    except OSError:
        size = 0
    # Nobody reads back a log of that size; it starts anew.
    return copied(path, content=not truncates and not (appends and size > MAX_WRITTEN))


def diverted_open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    rest = (buffering, encoding, errors, newline)
    if isinstance(file, int) or not isinstance(mode, str) or is_harmless(file):
        return open_original(file, mode, *rest, closefd=closefd, opener=opener)
    raw = result = opened(open_original, file, mode, opener, *rest)
    for inner in ("buffer", "raw"):
        raw = getattr(raw, inner, raw)
    try:
        raw.name = file
    except AttributeError:
        pass
    return result


def opened(function, file, mode, opener, *rest):
    """What `function` makes of the file that the program means."""
    if opener is not None:
        return function(opener(file, flags_of_mode(mode)), mode, *rest)
    if writes(mode):
        return permitted(function, place_written(file, "w" in mode, "a" in mode), mode, *rest)
    return with_own_names(function, place_read(file), mode, *rest)


def flags_of_mode(mode):
    flags = os.O_RDWR if "+" in mode else os.O_RDONLY if "r" in mode else os.O_WRONLY
    flags |= 0 if "r" in mode else os.O_CREAT
    flags |= os.O_TRUNC if "w" in mode else os.O_APPEND if "a" in mode else os.O_EXCL if "x" in mode else 0
    return flags | getattr(os, "O_CLOEXEC", 0)


def diverted_os_open(path, flags, mode=0o777, **rest):
    if isinstance(path, int) or rest.get("dir_fd") is not None or is_harmless(path):
        return os_originals["open"](path, flags, mode, **rest)
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed and flags & unnamed == unnamed:
        raise system_error(errno.EOPNOTSUPP, path)
    if not flags & WRITING:
        return with_own_names(os_originals["open"], place_read(path), flags, mode)
    place = place_written(path, flags & os.O_TRUNC, flags & os.O_APPEND)
    return permitted(os_originals["open"], place, flags, mode | 0o600)


def diverted_mkdir(path, mode=0o777, **rest):
    if rest.get("dir_fd") is not None:
        return os_originals["mkdir"](path, mode, **rest)
    seen = resolved(path, follow=False)
    must_be_free(seen, path)
    make_directory(new_place(seen), mode)


def must_be_free(seen, path):
    if lexists(place_of(seen)):
        raise system_error(errno.EEXIST, path)


def diverted_remove(path, **rest):
    if rest.get("dir_fd") is not None:
        return os_originals["remove"](path, **rest)
    seen = resolved(path, follow=False)
    info = with_own_names(os_originals["lstat"], place_of(seen))
    if info.st_mode & 0o170000 == 0o040000:
        raise system_error(errno.EISDIR, path)
    take_away(seen, os_originals["remove"])


def diverted_rmdir(path, **rest):
    if rest.get("dir_fd") is not None:
        return os_originals["rmdir"](path, **rest)
    seen = resolved(path, follow=False)
    if diverted_listdir(path):
        raise system_error(errno.ENOTEMPTY, path)
    take_away(seen, os_originals["rmdir"])


def take_away(seen, function):
    if lexists(copy_root + seen):
        permitted(function, copy_root + seen)
    if lexists(seen):
        gone.add(seen)


def diverted_rename(source, target, **rest):
    if any(value is not None for value in rest.values()):
        return os_originals["rename"](source, target, **rest)
    source, target = resolved(source, follow=False), resolved(target, follow=False)
    with_own_names(os_originals["lstat"], place_of(source))
    if is_real_directory(source):
        refuse("renames the directory %s" % source)  # the copy has not all that is in it
    kept = copied(source)
    permitted(os_originals["replace"], kept, copied(target, content=False))
    if lexists(source):
        gone.add(source)


def is_real_directory(path):
    return not is_gone(path) and lexists(path) and os_originals["lstat"](path).st_mode & 0o170000 == 0o040000


def diverted_symlink(source, target, target_is_directory=False, **rest):
    if rest.get("dir_fd") is not None:
        return os_originals["symlink"](source, target, target_is_directory, **rest)
    seen = resolved(target, follow=False)
    must_be_free(seen, target)
    return permitted(os_originals["symlink"], os.fsdecode(source), new_place(seen))


def diverted_link(source, target, **rest):
    if any(rest.get(name) is not None for name in ("src_dir_fd", "dst_dir_fd")):
        return os_originals["link"](source, target, **rest)
    seen = resolved(target, follow=False)
    must_be_free(seen, target)
    place = place_read(source)
    with_own_names(os_originals["lstat"], place)
    fill(place, new_place(seen))


def diverted_change(name):
    """A function that changes what stands at its first argument: its mode, its times, its owner, its length."""
    original = os_originals[name]

    def change(path, *args, **kwargs):
        if isinstance(path, int):
            return permitted(original, path, *args, **kwargs) if is_kept(path) else original(path, *args, **kwargs)
        if kwargs.get("dir_fd") is not None:
            return original(path, *args, **kwargs)
        follow = kwargs.get("follow_symlinks", name not in ("lchmod", "lchown"))
        seen = resolved(path, follow)
        with_own_names(os_originals["lstat"], place_of(seen))
        kept = copied(seen)
        if name == "chmod" and args and isinstance(args[0], int):
            args = (args[0] | 0o700,) + args[1:]  # or the server could not remove it
        return permitted(original, kept, *args, **kwargs)

    return change


def is_kept(descriptor):
    try:
        return os_originals["readlink"]("/proc/self/fd/%d" % descriptor).startswith(copy_root + "/")
    except OSError:
        return False


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
            return self.stat(follow_symlinks=follow_symlinks).st_mode & 0o170000 == kind
        except OSError:
            return False

    def is_dir(self, follow_symlinks=True):
        return self.is_kind(0o040000, follow_symlinks)

    def is_file(self, follow_symlinks=True):
        return self.is_kind(0o100000, follow_symlinks)

    def is_symlink(self):
        return self.is_kind(0o120000, False)

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


def diverted_connect(function, database, *args, **kwargs):
    """Opens a copy of the database with `function`, or the real one for reading where it is too large."""
    name, query = os.fsdecode(database), ""
    if kwargs.get("uri") and name.startswith("file:"):
        import urllib.parse

        parts = urllib.parse.urlsplit(name)
        name, query = urllib.parse.unquote(parts.path), parts.query
        if name in ("", ":memory:") or "mode=memory" in query.split("&"):
            return without_attached(permitted(function, database, *args, **kwargs))
    seen = resolved(name)
    kept = copy_root + seen
    if not lexists(kept) and lexists(place_of(seen)) and os_originals["lstat"](place_of(seen)).st_size > MAX_WRITTEN:
        note_refusal("changes the database %s, which has more than %d bytes" % (seen, MAX_WRITTEN))
        kept, query = seen, "mode=ro&immutable=1"
    else:
        copied(seen)
        for suffix in ("-wal", "-journal"):
            if lexists(place_of(seen + suffix)):
                copied(seen + suffix)
        entries.append(kept)
    if query:
        import urllib.parse

        kept = "file:%s?%s" % (urllib.parse.quote(kept), query)
        kwargs["uri"] = True
    return without_attached(permitted(function, kept, *args, **kwargs))


def diverted_dbm(original):
    def open_database(file, *args, **kwargs):
        seen = resolved(file)
        for suffix in ("", ".db", ".dir", ".pag"):
            if lexists(place_of(seen + suffix)):
                copied(seen + suffix)
        return permitted(original, new_place(seen), *args, **kwargs)

    return open_database


def begin_copy():
    """Gives every diverted function what it does from now on."""
    limit_files(MAX_WRITTEN)  # of native code as well, which could not write at all until now
    own = {
        "open": diverted_os_open, "mkdir": diverted_mkdir, "remove": diverted_remove, "unlink": diverted_remove,
        "rmdir": diverted_rmdir, "rename": diverted_rename, "replace": diverted_rename, "symlink": diverted_symlink,
        "link": diverted_link, "stat": diverted_stat, "lstat": diverted_lstat, "getcwd": diverted_getcwd,
        "listdir": diverted_listdir, "scandir": diverted_scandir,
    }
    for name in os_originals:
        if name in own:
            continue
        own[name] = (diverted_look if name in LOOKING else diverted_change)(name)
    return own
