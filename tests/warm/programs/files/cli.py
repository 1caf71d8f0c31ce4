#!/usr/bin/env python3
"""Works with files, locks and databases."""
import csv
import dbm.dumb
import errno
import fcntl
import glob
import mmap
import os
import pathlib
import shelve
import shutil
import sqlite3
import stat
import sys
import tempfile
import zipfile


def case_temporary_places():
    print(tempfile.gettempdir(), tempfile.tempdir, tempfile.gettempprefix())


def case_temporary_place_named():
    os.mkdir("own")
    os.environ["TMPDIR"] = os.path.abspath("own")
    print(tempfile.gettempdir() == os.environ["TMPDIR"])
    with tempfile.NamedTemporaryFile() as file:
        print(len(os.listdir("own")), oct(stat.S_IMODE(os.stat(file.name).st_mode)))


def case_temporary_left():
    name = tempfile.mkdtemp(dir=".")
    print(os.path.basename(name).startswith("tmp"), len(os.path.basename(name)))
    shutil.rmtree(name)


def case_spooled():
    with tempfile.SpooledTemporaryFile(10) as file:
        file.write(b"x" * 20)
        print(file._rolled)


def case_modes():
    os.umask(0o027)
    open("file", "w").close()
    os.mkdir("folder")
    print([oct(stat.S_IMODE(os.stat(name).st_mode)) for name in ("file", "folder")])
    shutil.rmtree("folder")


def case_locked():
    with open("lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        if os.fork() == 0:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as fault:
                os._exit(fault.errno == errno.EAGAIN or fault.errno == errno.EACCES)
            os._exit(5)
        print(os.WEXITSTATUS(os.wait()[1]))


def case_directory_gone():
    os.mkdir("gone")
    os.chdir("gone")
    os.rmdir("../gone")
    print(os.path.exists("."))
    os.getcwd()


def case_directory_changed():
    os.mkdir("other")
    os.chdir("other")
    print(os.path.basename(os.getcwd()), pathlib.Path().resolve().name, os.path.basename(os.path.abspath("x")))
    os.chdir("..")
    os.rmdir("other")


def case_home():
    print(pathlib.Path.home(), os.path.expanduser("~/x"), os.path.expandvars("$HOME/$NONE"))


def case_mapped():
    with open("file", "wb+") as file:
        file.write(b"0" * 100)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 100)
        mapped[:4] = b"1234"
        if os.fork() == 0:
            mapped[4:8] = b"5678"
            os._exit(0)
        os.wait()
        print(mapped[:10])


def case_database():
    connection = sqlite3.connect("data.db")
    with connection:
        connection.execute("create table word (text)")
        connection.executemany("insert into word values (?)", [("ä",), ("b",)])
    print(connection.execute("select * from word order by 1").fetchall(), sqlite3.sqlite_version, connection.total_changes)
    connection.close()
    os.unlink("data.db")


def case_database_write_ahead():
    connection = sqlite3.connect("data.db", isolation_level=None)
    print(connection.execute("pragma journal_mode=wal").fetchone())
    connection.execute("create table word (text)")
    print(sorted(os.listdir(".")))
    connection.close()
    os.unlink("data.db")


def case_database_in_memory():
    connection = sqlite3.connect(":memory:")
    connection.create_function("twice", 1, lambda number: 2 * number)
    print(connection.execute("select twice(21)").fetchone(), sqlite3.threadsafety)


def case_shelf():
    with shelve.Shelf(dbm.dumb.open("shelf", "n")) as shelf:
        shelf["a"] = [1]
    with shelve.Shelf(dbm.dumb.open("shelf", "r")) as shelf:
        print(dict(shelf))


def case_shelf_left_open():
    globals()["kept"] = dbm.dumb.open("shelf", "n")
    kept[b"a"] = b"1"


def case_archive_left_open():
    globals()["kept"] = zipfile.ZipFile("archive.zip", "w")
    kept.writestr(zipfile.ZipInfo("a"), "words")


def case_rows():
    with open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([[1, "a,b"], [2, 'c"d']])
    with open("rows.csv", newline="") as file:
        print(list(csv.reader(file)), csv.list_dialects(), csv.field_size_limit())


def case_pipes_with_names():
    os.mkfifo("fifo")
    if os.fork() == 0:
        with open("fifo", "w") as file:
            file.write("through it")
        os._exit(0)
    with open("fifo") as file:
        print(file.read())
    os.wait()
    os.unlink("fifo")


def case_found():
    for name in "bca":
        open(name, "w").close()
    print(sorted(glob.glob("*")), sorted(entry.name for entry in os.scandir()), [path.name for path in sorted(pathlib.Path().iterdir())])


def case_errors():
    for wrong in (lambda: open("none"), lambda: os.mkdir("."), lambda: os.rmdir("/"), lambda: open("/", "w")):
        try:
            wrong()
        except OSError as fault:
            print(fault, type(fault).__name__)


def case_space():
    print(shutil.disk_usage(".").total > 0, os.statvfs(".").f_bsize > 0, shutil.which("sh"), shutil.which("none"))


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
