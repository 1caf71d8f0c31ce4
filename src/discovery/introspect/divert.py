# The private copy: what a watched program writes before its parser is asked goes there, and what it
# reads afterwards comes from there. The real files stay as they are; the server removes the copy.
#
# Compiled with divert_changes.py, divert_looks.py and divert_databases.py when a program changes
# something for the first time. A path of the program's stands for the same path below the copy's
# directory where that exists, for nothing where the program removed it, and else for the real file.
# Directories of the copy only hold what was changed in them.

MAX_TOTAL = 64 << 20  # bytes of all files, looked at whenever one is added
MAX_ENTRIES = 200  # files and directories
MAX_LINKS = 40

# Kinds of files, in the bits of `st_mode` that say it. The module `stat` would have to be imported for them.
KIND, DIRECTORY, REGULAR, LINK = 0o170000, 0o040000, 0o100000, 0o120000

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
