-- The policy setting `key_bench_seconds` is now called `key_cooldown_seconds`.
UPDATE providers
SET policy = (policy - 'key_bench_seconds') || jsonb_build_object('key_cooldown_seconds', policy -> 'key_bench_seconds')
WHERE policy -> 'key_bench_seconds' IS NOT NULL;
