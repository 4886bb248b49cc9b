-- What is compressed with zstd; the text beside it is empty then.
ALTER TABLE prompts ADD COLUMN prompt_zstd BYTEA;
ALTER TABLE prompts ALTER COLUMN prompt_zstd SET STORAGE EXTERNAL;
ALTER TABLE tool_usages ADD COLUMN input_zstd BYTEA;
ALTER TABLE tool_usages ALTER COLUMN input_zstd SET STORAGE EXTERNAL;
ALTER TABLE model_thoughts ADD COLUMN content_zstd BYTEA;
ALTER TABLE model_thoughts ALTER COLUMN content_zstd SET STORAGE EXTERNAL;
