-- The policy settings `relay.*` were numbers; they are flags and words.
UPDATE providers
SET policy = json_set(policy, '$.relay.images', json(iif(json_extract(policy, '$.relay.images') = 0, 'false', 'true')))
WHERE json_type(policy, '$.relay.images') = 'integer';
UPDATE providers
SET policy = json_set(policy, '$.relay.audio', json(iif(json_extract(policy, '$.relay.audio') = 0, 'false', 'true')))
WHERE json_type(policy, '$.relay.audio') = 'integer';
UPDATE providers
SET policy = json_set(policy, '$.relay.stream_usage',
    CASE json_extract(policy, '$.relay.stream_usage') WHEN 0 THEN 'never' WHEN 1 THEN 'always' ELSE 'learn' END)
WHERE json_type(policy, '$.relay.stream_usage') = 'integer';
UPDATE providers
SET policy = json_set(policy, '$.relay.stored_objects',
    CASE json_extract(policy, '$.relay.stored_objects') WHEN 0 THEN 'all' WHEN 2 THEN 'own' ELSE 'unclaimed' END)
WHERE json_type(policy, '$.relay.stored_objects') = 'integer';
