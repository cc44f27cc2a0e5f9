import asyncio

import pytest

from geocache.event_loop import is_running, to_its_end

pytestmark = pytest.mark.any_services


async def raising(error):
    raise error


def test_is_running__tells_where_the_caller_is():
    async def ask():
        return is_running()

    assert (asyncio.run(ask()), is_running()) == (True, False)


def test_to_its_end__gives_the_result_or_the_error():
    assert asyncio.run(to_its_end(asyncio.sleep(0, "done"))) == "done"
    with pytest.raises(LookupError):
        asyncio.run(to_its_end(raising(LookupError())))


@pytest.mark.parametrize("error", [None, LookupError()], ids=repr)
def test_to_its_end__a_cancellation_is_raised_after_the_work_has_ended(error):
    done = []

    async def work(may_end):
        await may_end.wait()
        done.append("work")
        if error:
            raise error

    async def cancel_twice():
        may_end = asyncio.Event()
        waiting = asyncio.create_task(to_its_end(work(may_end)))
        for _ in range(2):
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        assert not waiting.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await waiting
        return caught.value.__cause__

    assert asyncio.run(cancel_twice()) is error
    assert done == ["work"]


def test_to_its_end__work_that_is_cancelled_itself_is_cancelled():
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(to_its_end(raising(asyncio.CancelledError())))
