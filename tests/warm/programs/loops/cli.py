#!/usr/bin/env python3
"""Runs event loops, and leaves them in every state."""
import asyncio
import contextvars
import gc
import os
import signal
import sys
import threading
import warnings

VALUE = contextvars.ContextVar("value", default="none")


async def nothing():
    return 1


def case_policy():
    warnings.simplefilter("ignore")
    print(type(asyncio.get_event_loop_policy()).__name__, asyncio._get_running_loop())
    loop = asyncio.new_event_loop()
    print(type(loop).__name__, type(loop._selector).__name__, loop.get_debug(), loop.slow_callback_duration)
    loop.close()


def case_implicit_loop():
    asyncio.get_event_loop().run_until_complete(nothing())


def case_twice():
    print(asyncio.run(nothing()), asyncio.run(nothing()))


def case_never_awaited():
    nothing()
    gc.collect()


def case_never_retrieved():
    async def fails():
        raise ValueError("not retrieved")

    async def main():
        asyncio.ensure_future(fails())
        await asyncio.sleep(0.01)

    asyncio.run(main())


def case_pending_at_end():
    loop = asyncio.new_event_loop()
    task = loop.create_task(asyncio.sleep(60))
    loop.run_until_complete(asyncio.sleep(0))
    globals()["kept"] = loop, task


def case_not_closed():
    warnings.simplefilter("always")
    globals()["kept"] = asyncio.new_event_loop()


def case_generator_left():
    async def numbers():
        try:
            yield 1
        finally:
            print("closed")

    async def main():
        async for _ in numbers():
            break

    asyncio.run(main())


def case_interrupted():
    async def main():
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(30)
        finally:
            print("at the end")

    asyncio.run(main())


def case_exit_inside():
    async def main():
        sys.exit(6)

    asyncio.run(main())


def case_signals():
    async def main():
        came = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGUSR1, signal.SIGTERM):
            loop.add_signal_handler(number, came.put_nowait, number)
        os.kill(os.getpid(), signal.SIGTERM)
        print(await came.get())
        print(loop.remove_signal_handler(signal.SIGTERM), signal.getsignal(signal.SIGTERM))

    asyncio.run(main())


def case_processes():
    async def main():
        made = [await asyncio.create_subprocess_shell("read line; echo $line; exit %d" % number, stdin=-1, stdout=-1) for number in range(3)]
        found = await asyncio.gather(*(process.communicate(b"words\n") for process in made))
        print(found, [process.returncode for process in made])

    asyncio.run(main())


def case_process_killed():
    async def main():
        process = await asyncio.create_subprocess_exec("sleep", "30")
        process.terminate()
        print(await process.wait())

    asyncio.run(main())


def case_process_in_thread():
    def work():
        async def main():
            process = await asyncio.create_subprocess_exec("true")
            return await process.wait()

        print(asyncio.run(main()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def case_server():
    async def main():
        async def answer(reader, writer):
            writer.write((await reader.readline()).upper())
            writer.close()

        server = await asyncio.start_unix_server(answer, "socket")
        reader, writer = await asyncio.open_unix_connection("socket")
        writer.write(b"words\n")
        print(await reader.read())
        writer.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    if os.path.exists("socket"):
        os.unlink("socket")


def case_executor_left():
    async def main():
        asyncio.get_running_loop().run_in_executor(None, print, "in a thread")

    asyncio.run(main())


def case_context():
    async def main():
        VALUE.set("inner")
        await asyncio.create_task(nothing())
        return VALUE.get()

    print(asyncio.run(main()), VALUE.get(), len(contextvars.copy_context()))


def case_timeout():
    async def main():
        try:
            await asyncio.wait_for(asyncio.sleep(30), 0.01)
        except asyncio.TimeoutError:
            print("in time")

    asyncio.run(main())


def case_debug():
    async def main():
        loop = asyncio.get_running_loop()
        print(loop.get_debug(), sys.get_coroutine_origin_tracking_depth(), loop.set_exception_handler(None))

    asyncio.run(main(), debug=True)


def case_other_threads():
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    print(asyncio.run_coroutine_threadsafe(nothing(), loop).result(10))
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def case_daemon_loop():
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    print(asyncio.run_coroutine_threadsafe(nothing(), loop).result(10))


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
