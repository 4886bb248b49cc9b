#!/bin/sh
# The three APIs through a gateway. GATEWAY is its URL, LYCHGATE_USER_TOKEN a user token.
set -eu
: "${GATEWAY:?set it to the gateway, for example http://127.0.0.1:4001}"
: "${LYCHGATE_USER_TOKEN:?set it to a user token (lgu_...)}"

echo '# Anthropic Messages'
curl -sS --fail-with-body "$GATEWAY/ai/anthropic/v1/messages" \
  -H "x-api-key: $LYCHGATE_USER_TOKEN" -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
  -d '{"model":"claude-sonnet-5","max_tokens":256,"messages":[{"role":"user","content":"What is a lychgate?"}]}'

printf '\n\n# OpenAI Chat Completions, streaming\n'
curl -sSN --fail-with-body "$GATEWAY/ai/openai/v1/chat/completions" \
  -H "authorization: Bearer $LYCHGATE_USER_TOKEN" -H 'content-type: application/json' \
  -d '{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"What is a lychgate?"}]}'

printf '\n\n# OpenAI Responses\n'
curl -sS --fail-with-body "$GATEWAY/ai/openai/v1/responses" \
  -H "authorization: Bearer $LYCHGATE_USER_TOKEN" -H 'content-type: application/json' \
  -d '{"model":"gpt-5-mini","input":"What is a lychgate?"}'
echo
