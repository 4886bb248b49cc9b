"""The official anthropic SDK, unmodified but for base URL and key, against a gateway whose provider is scripted.

Usage: anthropic_sdk.py [foundry|vertex], with what `lychgate clients` prints in the environment

Every step asserts on what the SDK made of the answer; the first that fails ends the run with its traceback.
"""

import asyncio
import os
import sys
from functools import partial

import anthropic
from common import LONG, TRIES, raises, recorded, scenario, together, tried

FOUNDRY = sys.argv[1:] == ["foundry"]
VERTEX = sys.argv[1:] == ["vertex"]
URL, KEY = ("ANTHROPIC_VERTEX_BASE_URL", "VERTEX_ACCESS_TOKEN") if VERTEX else ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
BASE_URL, TOKEN = os.environ[URL], os.environ[KEY]
MODEL = "claude-sonnet-5"
HELLO = [{"role": "user", "content": "Hello from the SDK"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def connect(token=TOKEN, asynchronous=False, **more):
    """A client of the SDK."""
    if VERTEX:
        kind = anthropic.AsyncAnthropicVertex if asynchronous else anthropic.AnthropicVertex
        return kind(access_token=token, **more)
    if FOUNDRY:
        kind = anthropic.AsyncAnthropicFoundry if asynchronous else anthropic.AnthropicFoundry
    else:
        kind = anthropic.AsyncAnthropic if asynchronous else anthropic.Anthropic
    return kind(base_url=BASE_URL, api_key=token, **more)


def blocking(client):
    message = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO)
    assert message.id.startswith("msg_01"), message.id
    assert message.stop_reason == "end_turn"
    assert "Hello from the SDK" in message.content[0].text, message.content
    assert message.usage.input_tokens > 0 and message.usage.output_tokens > 0
    assert message._request_id.startswith("req_"), message._request_id

    message = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, extra_headers=scenario("cached"))
    usage = message.usage
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (2048, 768), usage
    assert usage.cache_creation.ephemeral_1h_input_tokens == 256, usage


def streaming(client):
    with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) > 5 and "".join(pieces) == message.content[0].text
    assert "Hello from the SDK" in message.content[0].text
    assert message.stop_reason == "end_turn" and message.usage.output_tokens > 1

    events = client.messages.create(model=MODEL, max_tokens=100, messages=HELLO, stream=True)
    kinds = [event.type for event in events]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds

    for name in ("split", "crlf", "comments", "multiline", "slow", "silent"):
        with client.messages.stream(model=MODEL, max_tokens=100, messages=HELLO, extra_headers=scenario(name)) as stream:
            assert "Hello from the SDK" in stream.get_final_message().content[0].text, name


def thinking(client):
    budget = {"type": "adaptive"}
    with client.messages.stream(model=MODEL, max_tokens=2048, messages=HELLO, thinking=budget) as stream:
        message = stream.get_final_message()
    thought, text = message.content
    assert thought.type == "thinking" and thought.thinking and thought.signature
    assert text.type == "text"
    # The thought goes back in the next turn, signature and all.
    turns = [*HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": "And now?"}]
    again = client.messages.create(model=MODEL, max_tokens=2048, messages=turns, thinking=budget)
    assert "And now?" in again.content[1].text


def tools(client):
    turns = [{"role": "user", "content": "What is the weather in Zürich?"}]
    first = client.messages.create(model=MODEL, max_tokens=100, messages=turns, tools=[WEATHER])
    assert first.stop_reason == "tool_use"
    call = next(block for block in first.content if block.type == "tool_use")
    assert (call.name, call.input) == ("get_weather", {"city": "Zürich"}), call
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "7 degrees, fog"}
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model=MODEL, max_tokens=100, messages=turns, tools=[WEATHER])
    assert second.stop_reason == "end_turn" and "7 degrees, fog" in second.content[0].text, second.content

    turns = [{"role": "user", "content": "And in two cities?"}]
    asked = {"model": MODEL, "max_tokens": 100, "tools": [WEATHER]}
    with client.messages.stream(messages=turns, extra_headers=scenario("tools"), **asked) as stream:
        first = stream.get_final_message()
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input["city"] for call in calls] == ["Zürich", "Oslo"], calls
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"fine in {call.input['city']}"} for call in calls]
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    with client.messages.stream(messages=turns, **asked) as stream:
        assert "fine in Oslo" in stream.get_final_message().content[0].text


def beside(client):
    assert client.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0
    if VERTEX:
        other = connect(project_id="project-2", max_retries=0)
        error = raises(
            anthropic.PermissionDeniedError,
            lambda: other.messages.create(model=MODEL, max_tokens=100, messages=HELLO),
        )
        assert "another project" in error.body["error"]["message"], error.body
        return
    if FOUNDRY:
        plain = anthropic.Anthropic(base_url=BASE_URL, api_key=TOKEN, timeout=20)
        error = raises(anthropic.NotFoundError, plain.models.list)
        assert "/v1/messages" in error.body["error"]["message"], error.body
        return
    models = client.models.list().data
    assert any(model.id.startswith("claude-") for model in models)
    assert client.models.retrieve(models[0].id).display_name


def errors(client):
    once = client.with_options(max_retries=0)

    def ask(client=once, model=MODEL, **more):
        return client.messages.create(model=model, max_tokens=100, messages=HELLO, **more)

    stranger = connect("lgu_nobody", max_retries=0)
    error = raises(anthropic.AuthenticationError, lambda: ask(stranger))
    assert error.body["type"] == "error" and error.body["error"]["type"] == "authentication_error", error.body
    error = raises(anthropic.NotFoundError, lambda: ask(model="no-such-model"))
    assert error.body["error"] == {"type": "not_found_error", "message": "model: no-such-model"}, error.body
    error = raises(anthropic.RateLimitError, lambda: ask(extra_headers=scenario("error-429")))
    assert error.response.headers["retry-after"] == "1"
    raises(anthropic.BadRequestError, lambda: ask(extra_headers=scenario("error-400")))
    raises(anthropic.PermissionDeniedError, lambda: ask(extra_headers=scenario("error-403")))
    raises(anthropic.InternalServerError, lambda: ask(extra_headers=scenario("error-500")))
    assert raises(anthropic._exceptions.OverloadedError, lambda: ask(extra_headers=scenario("error-529"))).status_code == 529
    raises(anthropic.RateLimitError, lambda: ask(stream=True, extra_headers=scenario("error-429")))

    def overloaded():
        with once.messages.stream(model=MODEL, max_tokens=100, messages=HELLO, extra_headers=scenario("stream-error")) as stream:
            stream.get_final_message()

    error = raises(anthropic.APIStatusError, overloaded)
    assert error.body["error"]["type"] == "overloaded_error", error.body


def time_outs(client):
    impatient = client.with_options(max_retries=0, timeout=1)

    def time_out(stream):
        model = f"claude-timed-out-{stream}"
        asked = {"model": model, "max_tokens": 100, "messages": HELLO, "stream": stream}
        raises(anthropic.APITimeoutError, lambda: impatient.messages.create(extra_headers=scenario("late"), **asked))
        recorded(model, "client_aborted")

    together(partial(time_out, False), partial(time_out, True))


def retries(client):
    def retry(name, outcome, stream):
        model = f"claude-again-{name}-{stream}"
        asked = client.with_options(max_retries=1, timeout=1 if name == "late" else 20)
        more = {"model": model, "max_tokens": 100, "messages": HELLO, "extra_headers": scenario(f"{name},text")}
        if stream:
            with asked.messages.stream(**more) as events:
                message = events.get_final_message()
        else:
            message = asked.messages.create(**more)
        assert "Hello from the SDK" in message.content[0].text
        recorded(model, outcome, "completed")

    # No more tries than were asked for, and the last error is what is told.
    def in_vain():
        twice = client.with_options(max_retries=1)
        more = {"max_tokens": 100, "messages": HELLO, "extra_headers": scenario("error-500,error-429,text")}
        raises(anthropic.RateLimitError, lambda: twice.messages.create(model="claude-in-vain", **more))
        recorded("claude-in-vain", "failed", "failed")

    together(in_vain, *(partial(retry, *first, stream) for first in TRIES for stream in (False, True)))


def cancelled(client):
    more = {"max_tokens": 4096, "messages": [{"role": "user", "content": LONG}], "extra_headers": scenario("slow")}
    with client.messages.create(model="claude-left-by-break", stream=True, **more) as events:
        assert next(iter(events)).type == "message_start"
    with client.messages.stream(model="claude-left-by-close", **more) as events:
        for piece in events.text_stream:
            assert piece
            break
        events.close()

    async def task():
        begun = asyncio.Event()

        async def converse():
            async with connect(asynchronous=True) as asked:
                async with asked.messages.stream(model="claude-left-by-cancel", **more) as events:
                    async for _ in events.text_stream:
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
    for way in ("break", "close", "cancel"):
        recorded(f"claude-left-by-{way}", "client_aborted")


def main():
    if not VERTEX:
        # As the SDK finds them in the environment.
        blocking(anthropic.Anthropic(timeout=20))
        del os.environ["ANTHROPIC_API_KEY"]
        # A bearer token serves as well as an API key.
        blocking(anthropic.Anthropic(base_url=BASE_URL, api_key=None, auth_token=TOKEN, timeout=20))
    client = connect(timeout=20)
    tried(
        client,
        blocking=blocking,
        streaming=streaming,
        thinking=thinking,
        tools=tools,
        beside=beside,
        errors=errors,
        timeouts=time_outs,
        retries=retries,
        cancelled=cancelled,
    )
    print("anthropic", anthropic.__version__, "ok")


main()
