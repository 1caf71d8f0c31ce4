# Databases, which native code opens by a path: a copy is opened in their place.


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
