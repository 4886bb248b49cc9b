-- Records refer to their users and tokens, and their lists to them, by value: all are written in one transaction that has just
-- found or made what they refer to, and users and tokens are never removed. Checked by PostgreSQL, each reference costs a look-up
-- and a row lock per row, nearly half of all that taking a record in costs; and records of one token queue for its row.
ALTER TABLE interceptions DROP CONSTRAINT interceptions_user_id_fkey;
ALTER TABLE interceptions DROP CONSTRAINT interceptions_token_id_fkey;
ALTER TABLE token_usages DROP CONSTRAINT token_usages_interception_id_fkey;
ALTER TABLE prompts DROP CONSTRAINT prompts_interception_id_fkey;
ALTER TABLE tool_usages DROP CONSTRAINT tool_usages_interception_id_fkey;
ALTER TABLE model_thoughts DROP CONSTRAINT model_thoughts_interception_id_fkey;
