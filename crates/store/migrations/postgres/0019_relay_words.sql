-- The policy settings `relay.*` were numbers; they are flags and words.
UPDATE providers
SET policy = jsonb_set(policy, '{relay,images}', to_jsonb(policy #>> '{relay,images}' <> '0'))
WHERE jsonb_typeof(policy #> '{relay,images}') = 'number';
UPDATE providers
SET policy = jsonb_set(policy, '{relay,audio}', to_jsonb(policy #>> '{relay,audio}' <> '0'))
WHERE jsonb_typeof(policy #> '{relay,audio}') = 'number';
UPDATE providers
SET policy = jsonb_set(policy, '{relay,stream_usage}', to_jsonb(
    CASE policy #>> '{relay,stream_usage}' WHEN '0' THEN 'never' WHEN '1' THEN 'always' ELSE 'learn' END))
WHERE jsonb_typeof(policy #> '{relay,stream_usage}') = 'number';
UPDATE providers
SET policy = jsonb_set(policy, '{relay,stored_objects}', to_jsonb(
    CASE policy #>> '{relay,stored_objects}' WHEN '0' THEN 'all' WHEN '2' THEN 'own' ELSE 'unclaimed' END))
WHERE jsonb_typeof(policy #> '{relay,stored_objects}') = 'number';
