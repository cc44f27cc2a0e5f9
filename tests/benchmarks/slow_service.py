"""``python -m tests.benchmarks.slow_service SECONDS``: a service that takes so long to answer.

It prints its port, and answers any number of requests at the same time.
"""

import asyncio
import json
import sys

ANSWER = json.dumps({"country": "NZ", "city": "Wellington"}).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)


async def serve(seconds: float) -> None:
    """Answer until the process is ended."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            await asyncio.sleep(seconds)
            writer.write(RESPONSE)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1])))
