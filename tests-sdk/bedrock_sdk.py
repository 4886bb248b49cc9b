"""The official boto3 and AnthropicBedrock, unmodified but for endpoint and token, against a gateway whose provider is scripted.

Usage: bedrock_sdk.py bedrock, with what `lychgate clients aws-sdk` prints in the environment

Every step asserts on what the SDK made of the answer; the first that fails ends the run with its traceback.
"""

import json
import os

import anthropic
import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from common import raises, recorded, scenario, tried

ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-5-v1:0"
WORDS = "Hello from the SDK"
TOOL = {
    "toolSpec": {
        "name": "get_weather",
        "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    }
}


def client():
    """A client of boto3, which sends bearer tokens over https only. In place of the proxy that would have the certificate, its requests
    lose that on the way."""
    url = os.environ["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"].replace("http://", "https://")
    made = boto3.client("bedrock-runtime", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}))
    made.meta.events.register("before-send.*", without_tls)
    return made


def without_tls(request, **_):
    request.url = request.url.replace("https://", "http://")


def play(made, scenario):
    """Has the scripted provider play this scenario for every request of a client."""
    made.meta.events.register("before-send.*", lambda request, **_: request.headers.update({"x-scripted": scenario}))
    return made


def body(said=WORDS):
    turns = [{"role": "user", "content": said}]
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": turns})


def turns(said=WORDS):
    return [{"role": "user", "content": [{"text": said}]}]


def events(answer):
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def invoke(_):
    plain = client()
    for model in ("us.anthropic.claude-invoke-v1:0", ARN):
        answer = plain.invoke_model(modelId=model, body=body())
        message = json.loads(answer["body"].read())
        assert WORDS in message["content"][0]["text"], message
        assert answer["ResponseMetadata"]["RequestId"], answer

    streamed = events(plain.invoke_model_with_response_stream(modelId="us.anthropic.claude-invoke-v1:0", body=body()))
    assert streamed[0]["type"] == "message_start" and streamed[-1]["type"] == "message_stop", streamed
    assert streamed[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] > 0, streamed[-1]
    recorded("us.anthropic.claude-invoke-v1:0", "completed", "completed")
    recorded(ARN, "completed")

    split = play(client(), "split").invoke_model_with_response_stream(modelId="claude-split", body=body())
    assert [event["type"] for event in events(split)] == [event["type"] for event in streamed]
    recorded("claude-split", "completed")


    # The gateway pings while the provider is silent; between frames, and not before the answer has begun.
    silent = play(client(), "silent").invoke_model_with_response_stream(modelId="claude-silent", body=body())
    types = [event["type"] for event in events(silent)]
    assert "ping" in types and types[0] == "message_start", types
    assert [kind for kind in types if kind != "ping"] == [event["type"] for event in streamed], types
    recorded("claude-silent", "completed")


def converse(_):
    plain = client()
    answer = plain.converse(modelId="amazon.nova-pro-v1:0", messages=turns())
    assert WORDS in answer["output"]["message"]["content"][0]["text"], answer
    assert answer["usage"]["inputTokens"] > 0 and answer["stopReason"] == "end_turn", answer

    streamed = list(plain.converse_stream(modelId="amazon.nova-pro-v1:0", messages=turns())["stream"])
    text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in streamed if "contentBlockDelta" in event)
    assert WORDS in text, text
    assert streamed[-1]["metadata"]["usage"]["outputTokens"] > 0, streamed[-1]
    recorded("amazon.nova-pro-v1:0", "completed", "completed")

    first = plain.converse(modelId="nova-tools", messages=turns("Weather?"), toolConfig={"tools": [TOOL]})
    assert first["stopReason"] == "tool_use", first
    message = first["output"]["message"]
    call = message["content"][-1]["toolUse"]
    result = {"toolUseId": call["toolUseId"], "content": [{"text": "7 degrees, fog"}]}
    more = [*turns("Weather?"), message, {"role": "user", "content": [{"toolResult": result}]}]
    second = plain.converse(modelId="nova-tools", messages=more, toolConfig={"tools": [TOOL]})
    assert "7 degrees, fog" in second["output"]["message"]["content"][0]["text"], second
    recorded("nova-tools", "completed", "completed")

    silent = list(play(client(), "silent").converse_stream(modelId="nova-silent", messages=turns())["stream"])
    assert [list(event) for event in silent] == [list(event) for event in streamed], silent
    recorded("nova-silent", "completed")


def errors(_):
    error = raises_client_error(lambda: play(client(), "error-429").converse(modelId="nova-busy", messages=turns()))
    assert error["Code"] == "ThrottlingException", error
    recorded("nova-busy", "failed")

    broken = play(client(), "stream-error").converse_stream(modelId="nova-broken", messages=turns())["stream"]
    error = raises(EventStreamError, lambda: list(broken))
    assert "throttlingException" in str(error), error
    recorded("nova-broken", "failed")

    stranger = os.environ["AWS_BEARER_TOKEN_BEDROCK"]
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = "lgu_nobody"
    error = raises_client_error(lambda: client().converse(modelId="nova", messages=turns()))
    assert error["Code"] == "UnrecognizedClientException", error
    del os.environ["AWS_BEARER_TOKEN_BEDROCK"]
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret"}
    signing = boto3.client("bedrock-runtime", config=Config(retries={"total_max_attempts": 1}), **keys)
    error = raises_client_error(lambda: signing.converse(modelId="nova", messages=turns()))
    assert error["Code"] == "AccessDeniedException" and "AWS_BEARER_TOKEN_BEDROCK" in error["Message"], error
    os.environ["AWS_BEARER_TOKEN_BEDROCK"] = stranger


def raises_client_error(call):
    """Runs the call, which must fail with an error that the provider's shape tells the type of."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]
    raise AssertionError("expected an error, but nothing was raised")


def anthropic_bedrock(_):
    claude = anthropic.AnthropicBedrock(max_retries=0)
    asked = {"model": "us.anthropic.claude-sdk-v1:0", "max_tokens": 100, "messages": [{"role": "user", "content": WORDS}]}
    message = claude.messages.create(**asked)
    assert WORDS in message.content[0].text, message
    with claude.messages.stream(**asked) as stream:
        message = stream.get_final_message()
    assert WORDS in message.content[0].text and message.usage.output_tokens > 1, message
    recorded("us.anthropic.claude-sdk-v1:0", "completed", "completed")

    silent = {**asked, "model": "claude-sdk-silent", "extra_headers": scenario("silent")}
    with claude.messages.stream(**silent) as stream:
        message = stream.get_final_message()
    assert WORDS in message.content[0].text and message.stop_reason == "end_turn", message
    recorded("claude-sdk-silent", "completed")


# The steps have clients of their own.
tried(None, invoke=invoke, converse=converse, errors=errors, anthropic_bedrock=anthropic_bedrock)
print("boto3", boto3.__version__, "ok")
