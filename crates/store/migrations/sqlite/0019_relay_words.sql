-- The policy settings `relay.*` were numbers; they are flags and words.
UPDATE providers
SET policy = json_set(policy, '$.relay.images', json(iif(json_extract(policy, '$.relay.images') = 0, 'false', 'true')))
WHERE json_extract(policy, '$.relay.images') IS NOT NULL;
UPDATE providers
SET policy = json_set(policy, '$.relay.audio', json(iif(json_extract(policy, '$.relay.audio') = 0, 'false', 'true')))
WHERE json_extract(policy, '$.relay.audio') IS NOT NULL;
UPDATE providers
SET policy = json_set(policy, '$.relay.stream_usage',
    CASE json_extract(policy, '$.relay.stream_usage') WHEN 0 THEN 'never' WHEN 1 THEN 'always' ELSE 'learn' END)
WHERE json_extract(policy, '$.relay.stream_usage') IS NOT NULL;
UPDATE providers
SET policy = json_set(policy, '$.relay.stored_objects',
    CASE json_extract(policy, '$.relay.stored_objects') WHEN 0 THEN 'all' WHEN 2 THEN 'own' ELSE 'unclaimed' END)
WHERE json_extract(policy, '$.relay.stored_objects') IS NOT NULL;
