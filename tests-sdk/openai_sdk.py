"""The official openai SDK, unmodified but for base URL and key, against a gateway whose provider is scripted.

Usage: openai_sdk.py [azure | openrouter], with what `lychgate clients openai` prints in the environment, or `lychgate clients azure-openai`

Every step asserts on what the SDK made of the answer; the first that fails ends the run with its traceback.
"""

import asyncio
import json
import os
import sys
from functools import partial

import openai
from common import LONG, TRIES, raises, recorded, scenario, together, tried

AZURE, OPENROUTER = (sys.argv[1:] == [host] for host in ("azure", "openrouter"))
URL_NAME, TOKEN_NAME = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY") if AZURE else ("OPENAI_BASE_URL", "OPENAI_API_KEY")
BASE_URL, TOKEN = os.environ[URL_NAME], os.environ[TOKEN_NAME]
MODEL = "gpt-5.4-mini"
HELLO = [{"role": "user", "content": "Hello from the SDK"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CHAT_TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS, "strict": True}}
TOOL = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}


def connect(token=TOKEN, asynchronous=False, **more):
    """A client of the SDK."""
    if AZURE:
        kind = openai.AsyncAzureOpenAI if asynchronous else openai.AzureOpenAI
        return kind(azure_endpoint=BASE_URL, api_version="2024-10-21", api_key=token, **more)
    kind = openai.AsyncOpenAI if asynchronous else openai.OpenAI
    return kind(base_url=BASE_URL, api_key=token, **more)


def of_the_answer(chunks):
    """The chunks without Azure's first one, which is about the prompt, and OpenRouter's last one, which tells the cost."""
    if AZURE:
        first, *chunks = chunks
        assert first.choices == [] and first.model == "" and first.model_extra["prompt_filter_results"], first
    if OPENROUTER:
        *chunks, last = chunks
        assert last.usage.total_tokens > 0 and last.usage.cost == 0.00014, last
    return chunks


def chat_blocking(client):
    completion = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert completion.id.startswith("chatcmpl-") and completion._request_id.startswith("req_")
    choice = completion.choices[0]
    assert choice.finish_reason == "stop" and "Hello from the SDK" in choice.message.content
    usage = completion.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0
    cached = client.chat.completions.create(model=MODEL, messages=HELLO, extra_headers=scenario("cached"))
    assert cached.usage.prompt_tokens_details.cached_tokens == 2048


def chat_streaming(client):
    chunks = of_the_answer(list(client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "Hello from the SDK" in text
    # Nobody asked for usage, so there is no chunk without a choice.
    assert all(len(chunk.choices) == 1 and chunk.usage is None for chunk in chunks)

    asked = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = of_the_answer(list(client.chat.completions.create(model=MODEL, messages=HELLO, **asked)))
    if not OPENROUTER:
        assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])

    for name in ("text", "split", "crlf", "multiline", "slow", "silent"):
        with client.chat.completions.stream(model=MODEL, messages=HELLO, extra_headers=scenario(name)) as stream:
            final = stream.get_final_completion()
        assert "Hello from the SDK" in final.choices[0].message.content, name


def chat_tools(client):
    turns = [{"role": "user", "content": "What is the weather in Zürich?"}]
    first = client.chat.completions.create(model=MODEL, messages=turns, tools=[CHAT_TOOL]).choices[0]
    assert first.finish_reason == "tool_calls"
    call = first.message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Zürich"}), call
    turns += [first.message, {"role": "tool", "tool_call_id": call.id, "content": "7 degrees, fog"}]
    second = client.chat.completions.create(model=MODEL, messages=turns, tools=[CHAT_TOOL]).choices[0]
    assert "7 degrees, fog" in second.message.content

    turns = [{"role": "user", "content": "And in two cities?"}]
    asked = {"model": MODEL, "tools": [CHAT_TOOL]}
    with client.chat.completions.stream(messages=turns, extra_headers=scenario("tools"), **asked) as stream:
        message = stream.get_final_completion().choices[0].message
    cities = [json.loads(call.function.arguments)["city"] for call in message.tool_calls]
    assert cities == ["Zürich", "Oslo"], cities
    calls = [call.model_dump(include={"id": True, "type": True, "function": {"name", "arguments"}}) for call in message.tool_calls]
    turns.append({"role": "assistant", "tool_calls": calls})
    turns += [{"role": "tool", "tool_call_id": call["id"], "content": f"fine: {call['id']}"} for call in calls]
    with client.chat.completions.stream(messages=turns, **asked) as stream:
        assert f"fine: {calls[1]['id']}" in stream.get_final_completion().choices[0].message.content


def responses(client):
    response = client.responses.create(model=MODEL, input="Hello from the SDK")
    assert response.id.startswith("resp_") and response.status == "completed"
    assert "Hello from the SDK" in response.output_text
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens

    events = list(client.responses.create(model=MODEL, input="Hello from the SDK", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == events[-1].response.output_text and "Hello from the SDK" in text

    with client.responses.stream(model=MODEL, input=HELLO, reasoning={"summary": "auto"}) as stream:
        final = stream.get_final_response()
    assert final.output[0].type == "reasoning" and final.output[0].summary[0].text
    assert final.usage.output_tokens_details.reasoning_tokens > 0

    short = client.responses.create(model=MODEL, input="Hello", extra_headers=scenario("max-tokens"))
    assert short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens"
    kinds = [item.type for item in client.responses.create(model=MODEL, input="Hello", extra_headers=scenario("every-tool")).output]
    assert {"function_call", "custom_tool_call", "mcp_call", "web_search_call", "computer_call"} <= set(kinds), kinds
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True, extra_headers=scenario("every-tool")))
    assert [item.type for item in events[-1].response.output] == kinds


def response_silent(client):
    # Without the fillers that the gateway puts in, the numbers have no gap.
    events = list(client.responses.create(model=MODEL, input="Hello", stream=True, extra_headers=scenario("silent")))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "Hello" in events[-1].response.output_text


def response_tools(client):
    turns = [{"role": "user", "content": "What is the weather in Zürich?"}]
    first = client.responses.create(model=MODEL, input=turns, tools=[TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    assert json.loads(call.arguments) == {"city": "Zürich"}
    turns += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": "7 degrees, fog"}]
    assert "7 degrees, fog" in client.responses.create(model=MODEL, input=turns, tools=[TOOL]).output_text

    asked = {"model": MODEL, "tools": [TOOL]}
    with client.responses.stream(input="And in two cities?", extra_headers=scenario("tools"), **asked) as stream:
        first = stream.get_final_response()
    calls = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Zürich", "Oslo"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": f"fine: {call.call_id}"} for call in calls]
    turns = [{"role": "user", "content": "And in two cities?"}]
    turns += [call.model_dump(include={"type", "call_id", "name", "arguments"}) for call in calls] + results
    with client.responses.stream(input=turns, **asked) as stream:
        assert f"fine: {calls[1].call_id}" in stream.get_final_response().output_text


def beside(client):
    embeddings = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], dimensions=64)
    assert [len(item.embedding) for item in embeddings.data] == [64, 64]
    assert abs(sum(x * x for x in embeddings.data[0].embedding) - 1) < 1e-3
    assert embeddings.usage.prompt_tokens > 0
    assert MODEL in [model.id for model in client.models.list()]
    if not OPENROUTER:
        assert client.models.retrieve(MODEL).object == "model"


def errors(client):
    once = client.with_options(max_retries=0)

    def ask(client=once, model=MODEL, **more):
        return client.chat.completions.create(model=model, messages=HELLO, **more)

    def respond(client=once, **more):
        return client.responses.create(model=MODEL, input="Hello", **more)

    stranger = connect("lgu_nobody", max_retries=0)
    for call in (ask, respond):
        raises(openai.AuthenticationError, lambda: call(stranger))
        error = raises(openai.RateLimitError, lambda: call(extra_headers=scenario("error-429")))
        assert error.code == "rate_limit_exceeded" and error.response.headers["retry-after"] == "1"
        raises(openai.RateLimitError, lambda: call(stream=True, extra_headers=scenario("error-429")))
        raises(openai.BadRequestError, lambda: call(extra_headers=scenario("error-400")))
        raises(openai.InternalServerError, lambda: call(extra_headers=scenario("error-500")))
    error = raises(openai.NotFoundError, lambda: ask(model="no-such-model"))
    assert error.code == "model_not_found" and "no-such-model" in error.message
    error = raises(openai.APIError, lambda: list(ask(stream=True, extra_headers=scenario("stream-error"))))
    assert "had an error" in error.message
    events = list(respond(stream=True, extra_headers=scenario("failed")))
    assert events[-1].type == "response.failed" and events[-1].response.error.code == "server_error"
    events = list(respond(stream=True, extra_headers=scenario("stream-error")))
    assert events[-1].type == "error" and events[-1].code == "server_error"


def chat(client, said="Hello from the SDK", **more):
    return client.chat.completions.create(messages=[{"role": "user", "content": said}], **more)


def response(client, said="Hello from the SDK", **more):
    return client.responses.create(input=said, **more)


def text(answer, stream):
    """What an answer of either API says."""
    if not stream:
        return answer.choices[0].message.content if hasattr(answer, "choices") else answer.output_text
    pieces = []
    for event in answer:
        if hasattr(event, "choices"):
            pieces += [choice.delta.content or "" for choice in event.choices]
        elif event.type == "response.output_text.delta":
            pieces.append(event.delta)
    return "".join(pieces)


def time_outs(client):
    impatient = client.with_options(max_retries=0, timeout=1)

    def time_out(ask, stream):
        model = f"gpt-{ask.__name__}-timed-out-{stream}"
        asked = {"model": model, "stream": stream, "extra_headers": scenario("late")}
        raises(openai.APITimeoutError, lambda: ask(impatient, **asked))
        recorded(model, "client_aborted")

    together(*(partial(time_out, ask, stream) for ask in (chat, response) for stream in (False, True)))


def retries(client):
    def retry(ask, name, outcome, stream):
        model = f"gpt-{ask.__name__}-again-{name}-{stream}"
        asked = client.with_options(max_retries=1, timeout=1 if name == "late" else 20)
        answer = ask(asked, model=model, stream=stream, extra_headers=scenario(f"{name},text"))
        assert "Hello from the SDK" in text(answer, stream)
        recorded(model, outcome, "completed")

    # No more tries than were asked for, and the last error is what is told.
    def in_vain(ask):
        model = f"gpt-{ask.__name__}-in-vain"
        twice = client.with_options(max_retries=1)
        raises(openai.RateLimitError, lambda: ask(twice, model=model, extra_headers=scenario("error-500,error-429,text")))
        recorded(model, "failed", "failed")

    for ask in (chat, response):
        together(partial(in_vain, ask), *(partial(retry, ask, *first, stream) for first in TRIES for stream in (False, True)))


def cancelled(client):
    more = {"said": LONG, "stream": True, "extra_headers": scenario("slow")}
    for ask in (chat, response):
        model = f"gpt-{ask.__name__}-left-by"
        with ask(client, model=f"{model}-break", **more) as events:
            assert next(iter(events))
        events = ask(client, model=f"{model}-close", **more)
        assert next(iter(events))
        events.close()

        async def task():
            begun = asyncio.Event()

            async def converse():
                async with connect(asynchronous=True) as asked:
                    async for _ in await ask(asked, model=f"{model}-cancel", **more):
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
            recorded(f"{model}-{way}", "client_aborted")


def main():
    # As the SDK finds them in the environment.
    chat_blocking(openai.AzureOpenAI(timeout=20) if AZURE else openai.OpenAI(timeout=20))
    client = connect(timeout=20)
    tried(
        client,
        blocking=chat_blocking,
        streaming=chat_streaming,
        tools=chat_tools,
        responses=responses,
        silence=response_silent,
        response_tools=response_tools,
        beside=beside,
        errors=errors,
        timeouts=time_outs,
        retries=retries,
        cancelled=cancelled,
    )
    print("openai", openai.__version__, "ok")


main()
