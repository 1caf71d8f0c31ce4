#!/usr/bin/env python3
"""Starts threads, and ends with and without them."""
import _thread
import concurrent.futures
import os
import sys
import threading
import time


def case_main():
    main = threading.main_thread()
    print(main is threading.current_thread(), main.name, main.daemon, main.native_id == os.getpid(), threading.active_count())
    print(threading.get_ident() == main.ident, _thread._count(), threading.enumerate(), threading.stack_size())


def case_outlives_main():
    def work():
        said.wait()
        time.sleep(0.05)
        print("thread")

    said = threading.Event()
    threading.Thread(target=work).start()
    print("main")
    said.set()


def case_daemon():
    def work():
        print("daemon")
        ready.set()
        time.sleep(60)

    ready = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    ready.wait()
    print("main")


def case_raises():
    thread = threading.Thread(target=lambda: 1 / 0, name="broken")
    thread.start()
    thread.join()


def case_hook():
    threading.excepthook = lambda arguments: print(arguments.exc_type.__name__, arguments.thread.name)
    thread = threading.Thread(target=lambda: 1 / 0, name="broken")
    thread.start()
    thread.join()


def case_pool():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print(sum(pool.map(len, ["a", "bb", "ccc"])))


def case_pool_left_open():
    pool = concurrent.futures.ThreadPoolExecutor(2)
    pool.submit(lambda: print("done") or time.sleep(0.02))


def case_timer():
    threading.Timer(0.02, lambda: print("timer")).start()


def case_many():
    threads = [threading.Thread(target=sum, args=(range(1000),)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(threading.active_count(), threads[-1].name)


def case_local():
    local = threading.local()
    local.value = 1
    print(vars(local))


def case_names():
    print(threading.Thread().name, threading.Thread().name)


def case_exit_from_thread():
    def work():
        time.sleep(0.01)
        os._exit(6)

    threading.Thread(target=work).start()
    time.sleep(60)


def case_lock_at_fork():
    lock = threading.Lock()
    with lock:
        if os.fork() == 0:
            print(lock.locked(), threading.active_count())
            sys.stdout.flush()
            os._exit(0)
        os.wait()


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
