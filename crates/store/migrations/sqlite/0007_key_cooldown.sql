-- The policy setting `key_bench_seconds` is now called `key_cooldown_seconds`.
UPDATE providers
SET policy = json_remove(
    json_set(policy, '$.key_cooldown_seconds', json_extract(policy, '$.key_bench_seconds')),
    '$.key_bench_seconds')
WHERE json_extract(policy, '$.key_bench_seconds') IS NOT NULL;
