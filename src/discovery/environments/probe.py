"""Says whether this interpreter already has what a plugin declares, and what it can install with."""
import sys

# The server's working directory is no place to import from.
sys.path = [place for place in sys.path if place]


def reader():
    """The class that reads one requirement, wherever this interpreter has it."""
    try:
        from packaging.requirements import Requirement
    except Exception:
        try:
            from pip._vendor.packaging.requirements import Requirement
        except Exception:
            return reader_in_wheel()
    return Requirement


def reader_in_wheel():
    """The same out of the pip that this interpreter keeps for new environments."""
    import glob
    import os
    try:
        import ensurepip
        beside = os.path.dirname(ensurepip.__file__)
    except Exception:
        return None
    wheels = glob.glob(os.path.join(beside, "_bundled", "pip-*.whl"))
    for wheel in wheels + glob.glob("/usr/share/python-wheels/pip-*.whl"):
        sys.path.insert(0, wheel)
        try:
            from pip._vendor.packaging.requirements import Requirement
            return Requirement
        except Exception:
            pass
        finally:
            sys.path.remove(wheel)
            # That pip is not one that this interpreter installs with.
            sys.modules.pop("pip", None)
    return None


def has_from(url, metadata, directory):
    """Whether some package was installed from this address or local directory."""
    import json
    import os
    wanted = url.split("#")[0]
    if "://" not in wanted:
        place = os.path.realpath(os.path.join(directory, wanted.split("[")[0].strip()))
        wanted = "file://" + place
    wanted = wanted[4:] if wanted.startswith("git+") else wanted
    for known in metadata.distributions():
        try:
            text = known.read_text("direct_url.json")
            origin = json.loads(text) if text else None
        except Exception:
            continue
        if origin is None:
            continue
        source = origin.get("url", "")
        revision = (origin.get("vcs_info") or {}).get("requested_revision")
        if wanted in (source, "%s@%s" % (source, revision)):
            return True
    return False


def is_met(line, requirement_of, metadata, directory, depth=0):
    """Whether one requirement is met; what cannot be judged is not."""
    if requirement_of is None:
        name, found, version = line.partition("==")
        name = name.strip()
        plain = name.replace("-", "").replace("_", "").replace(".", "").isalnum()
        if not plain:
            return False
        known = metadata.version(name)
        return not found or known == version.strip()
    try:
        wanted = requirement_of(line)
    except Exception:
        return has_from(line, metadata, directory)
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return True
    if wanted.url:
        return has_from(wanted.url, metadata, directory)
    known = metadata.distribution(wanted.name)
    if not wanted.specifier.contains(known.version, prereleases=True):
        return False
    if depth > 8:
        return False
    for extra in wanted.extras:
        for line in known.requires or ():
            inner = requirement_of(line)
            if inner.marker is None or inner.marker.evaluate({"extra": ""}):
                continue
            if inner.marker.evaluate({"extra": extra}):
                inner.marker = None
                if not is_met(str(inner), requirement_of, metadata, directory, depth + 1):
                    return False
    return True


def is_unfit(versions, requirement_of):
    """Whether this interpreter is none of those that are asked for; where that cannot be judged, it is one."""
    if not versions or requirement_of is None:
        return False
    try:
        wanted = requirement_of("python " + versions).specifier
        return not wanted.contains("%d.%d.%d" % sys.version_info[:3], prereleases=True)
    except Exception:
        return False


def packages():
    """The directories of packages that this interpreter has of itself, as Python writes them."""
    import json
    import os
    places = sys.path
    if os.environ.get("PYTHONPATH"):
        # What that names belongs to one start, and what is written into an environment to all.
        import subprocess
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        program = "import json, sys; sys.stdout.write(chr(10) + json.dumps(sys.path))"
        said = subprocess.check_output([sys.executable, "-c", program], env=variables, stdin=subprocess.DEVNULL)
        places = json.loads(said.decode("ascii").splitlines()[-1])
    return [ascii(place) for place in places if os.path.basename(place) in ("site-packages", "dist-packages")]


def main():
    import json
    asked = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    directory = asked["directory"]
    requirement_of = reader()
    missing = asked["requirements"]
    try:
        from importlib import metadata
    except ImportError:
        metadata = None
    if metadata is not None:
        # Packages that were installed beside the program count as well.
        sys.path.insert(0, directory)
        missing = []
        for line in asked["requirements"]:
            try:
                met = is_met(line, requirement_of, metadata, directory)
            except Exception:
                met = False
            if not met:
                missing.append(line)
        del sys.path[0]
    try:
        import pip
        version = pip.__version__
    except Exception:
        version = None
    try:
        import ensurepip
        bundled = bool(ensurepip.version())
    except Exception:
        bundled = False
    try:
        import venv
        has_venv = venv is not None
    except Exception:
        has_venv = False
    # What runs before this may have printed something.
    sys.stdout.write("\n" + json.dumps({
        "missing": missing,
        "pip": version,
        "ensurepip": bundled,
        "venv": has_venv,
        "packages": packages(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "is_unfit": is_unfit(asked["python"], requirement_of),
    }))


main()
