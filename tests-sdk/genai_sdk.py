"""The official google-genai SDK, unmodified but for base URL and key, against a gateway whose provider is scripted.

Usage: genai_sdk.py gemini, with what `lychgate clients google-genai` prints in the environment

Every step asserts on what the SDK made of the answer; the first that fails ends the run with its traceback.
"""

import asyncio
import os
from functools import partial

import httpx2
from common import LONG, raises, recorded, scenario, together, tried
from google import genai
from google.genai import errors, types

BASE_URL, TOKEN = os.environ["GOOGLE_GEMINI_BASE_URL"], os.environ["GEMINI_API_KEY"]
MODEL = "gemini-3-flash"
HELLO = "Hello from the SDK"
# The smallest picture there is.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f00050001ff56c72f0d0000000049454e44ae426082"
)
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="The weather of a city",
    parameters={"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]},
)


def connect(token=TOKEN, **more):
    """A client of the SDK."""
    return genai.Client(api_key=token, vertexai=False, http_options={"base_url": BASE_URL, "timeout": 20_000, **more})


def played(name, more=None, **config):
    """The configuration of a request to which the scripted provider plays this scenario."""
    return {**config, "http_options": {"headers": scenario(name), **(more or {})}}


def asked(client, model=MODEL, contents=HELLO, config=None, stream=False):
    """An answer; of a stream all its pieces."""
    if not stream:
        return client.models.generate_content(model=model, contents=contents, config=config)
    return list(client.models.generate_content_stream(model=model, contents=contents, config=config))


def text(pieces):
    return "".join(piece.text or "" for piece in pieces)


def blocking(client):
    answer = asked(client)
    assert HELLO in answer.text and answer.response_id and answer.model_version == MODEL
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count > 0
    assert asked(client, config=played("cached")).usage_metadata.cached_content_token_count == 2048
    assert asked(client, config=played("max-tokens")).candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert asked(client, config=played("refusal")).candidates[0].finish_reason == types.FinishReason.SAFETY
    picture = types.Part.from_bytes(data=PICTURE, mime_type="image/png")
    assert "What is this?" in asked(client, contents=[picture, "What is this?"]).text


def streaming(client):
    pieces = asked(client, stream=True)
    assert len(pieces) > 5 and HELLO in text(pieces)
    assert [piece.candidates[0].finish_reason for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert pieces[-1].usage_metadata.total_token_count > 0
    for name in ("split", "slow", "trailing", "unterminated", "long"):
        assert text(asked(client, config=played(name), stream=True)), name


def silent(client):
    # What the gateway puts in while the provider is silent is no piece.
    plain = asked(client, stream=True)
    for name in ("silent", "silent-lf"):
        pieces = asked(client, config=played(name), stream=True)
        assert len(pieces) == len(plain) and text(pieces) == text(plain), name

    async def asynchronous():
        stream = await client.aio.models.generate_content_stream(model=MODEL, contents=HELLO, config=played("silent"))
        return [piece async for piece in stream]

    assert text(asyncio.run(asynchronous())) == text(plain)


def thinking(client):
    config = {"thinking_config": {"include_thoughts": True}}
    for pieces in ([asked(client, config=config)], asked(client, config=config, stream=True)):
        parts = [part for piece in pieces for part in piece.candidates[0].content.parts]
        assert "think" in "".join(part.text for part in parts if part.thought)
        assert HELLO in text(pieces)
        assert pieces[-1].usage_metadata.thoughts_token_count > 0


def tools(client):
    config = {"tools": [types.Tool(function_declarations=[WEATHER])]}
    turns = [types.UserContent("What is the weather in Zürich?")]
    first = asked(client, contents=turns, config=config)
    [call] = first.function_calls
    assert (call.name, call.args) == ("get_weather", {"city": "Zürich"}), call
    assert first.candidates[0].content.parts[-1].thought_signature
    turns += [first.candidates[0].content, types.UserContent(types.Part.from_function_response(name=call.name, response={"output": "7 degrees, fog"}))]
    assert "7 degrees, fog" in asked(client, contents=turns, config=config).text

    pieces = asked(client, contents="And in two cities?", config=played("tools", **config), stream=True)
    calls = [call for piece in pieces for call in piece.function_calls or []]
    assert [call.args["city"] for call in calls] == ["Zürich", "Oslo"], calls

    # The SDK runs a function of Python by itself and tells the model what came out.
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"fine in {city}"

    chat = client.chats.create(model=MODEL, config={"tools": [get_weather]})
    assert "fine in Zürich" in chat.send_message("What is the weather in Zürich?").text

    chat = client.chats.create(model=MODEL)
    assert "first" in chat.send_message("My first word").text
    assert "second" in text(chat.send_message_stream("My second word"))


def beside(client):
    model = "gemini-embedding-2"
    embedded = client.models.embed_content(model=model, contents="one")
    assert len(embedded.embeddings) == 1 and len(embedded.embeddings[0].values) > 1
    embedded = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"], config={"output_dimensionality": 64})
    assert len(embedded.embeddings) == 2
    assert client.models.count_tokens(model=MODEL, contents=HELLO).total_tokens > 0
    names = [model.name for model in client.models.list()]
    assert f"models/{MODEL}" in names, names
    assert client.models.get(model=MODEL).name == f"models/{MODEL}"


def failures(client):
    stranger = connect("lgu_nobody")
    for stream in (False, True):
        error = raises(errors.ClientError, lambda: asked(stranger, stream=stream))
        assert (error.code, error.status) == (401, "UNAUTHENTICATED"), error
        error = raises(errors.ClientError, lambda: asked(client, config=played("error-429"), stream=stream))
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED"), error
        assert error.details["error"]["details"][0]["retryDelay"] == "1s", error.details
        error = raises(errors.ClientError, lambda: asked(client, config=played("error-400"), stream=stream))
        assert error.code == 400
        error = raises(errors.ServerError, lambda: asked(client, config=played("error-500"), stream=stream))
        assert error.code == 500
        error = raises(errors.ClientError, lambda: asked(client, model="no-such-model", stream=stream))
        assert error.code == 404 and "no-such-model" in error.message
    model = "gemini-breaks-off"
    error = raises(errors.ServerError, lambda: asked(client, model=model, config=played("breaks-off"), stream=True))
    assert error.code == 503 and "overloaded" in error.message
    recorded(model, "failed")


def time_outs(client):
    def time_out(stream):
        model = f"gemini-timed-out-{stream}"
        config = played("late", {"timeout": 1_000})
        raises(httpx2.ReadTimeout, lambda: asked(client, model=model, config=config, stream=stream))
        recorded(model, "client_aborted")

    together(partial(time_out, False), partial(time_out, True))


def retries(client):
    # Each try asks for the same, so that all of them fail.
    def in_vain(name, kind, stream):
        model = f"gemini-in-vain-{name}-{stream}"
        config = played(name, {"retry_options": {"attempts": 2, "initial_delay": 0.1, "jitter": 0}})
        raises(kind, lambda: asked(client, model=model, config=config, stream=stream))
        recorded(model, "failed", "failed")

    fails = [("error-429", errors.ClientError), ("error-500", errors.ServerError)]
    together(*(partial(in_vain, *fail, stream) for fail in fails for stream in (False, True)))


def cancelled(client):
    config = played("slow")
    stream = client.models.generate_content_stream(model="gemini-left-by-close", contents=LONG, config=config)
    assert next(stream)
    stream.close()

    async def task():
        begun = asyncio.Event()

        async def converse():
            asked = {"model": "gemini-left-by-cancel", "contents": LONG, "config": config}
            async with connect().aio as client:
                async for _ in await client.models.generate_content_stream(**asked):
                    begun.set()

        conversation = asyncio.create_task(converse())
        await begun.wait()
        conversation.cancel()
        try:
            await conversation
        except asyncio.CancelledError:
            return
        raise AssertionError("the task was cancelled, but went on to its end")

    asyncio.run(asyncio.wait_for(task(), 20))
    for way in ("close", "cancel"):
        recorded(f"gemini-left-by-{way}", "client_aborted")


def main():
    # As the SDK finds them in the environment.
    blocking(genai.Client())
    tried(
        connect(),
        blocking=blocking,
        streaming=streaming,
        silence=silent,
        thinking=thinking,
        tools=tools,
        beside=beside,
        errors=failures,
        timeouts=time_outs,
        retries=retries,
        cancelled=cancelled,
    )
    print("google-genai", genai.__version__, "ok")


main()
