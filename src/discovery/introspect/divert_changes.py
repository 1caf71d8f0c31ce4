# What changes files, led into the private copy: opening, making, removing, renaming, linking, modes and times.


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
    if info.st_mode & KIND == DIRECTORY:
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
    return not is_gone(path) and lexists(path) and os_originals["lstat"](path).st_mode & KIND == DIRECTORY


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
