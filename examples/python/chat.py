"""The Anthropic and OpenAI SDKs through a gateway: pip install anthropic openai."""

import os

from anthropic import Anthropic
from openai import OpenAI

gateway, token = os.environ["GATEWAY"], os.environ["LYCHGATE_USER_TOKEN"]

message = Anthropic(base_url=f"{gateway}/ai/anthropic", api_key=token).messages.create(
    model="claude-sonnet-5",
    max_tokens=256,
    messages=[{"role": "user", "content": "What is a lychgate?"}],
)
print(message.content[0].text)

response = OpenAI(base_url=f"{gateway}/ai/openai/v1", api_key=token).responses.create(
    model="gpt-5-mini", input="What is a lychgate?"
)
print(response.output_text)
