-- The function of 0002, which an application calls, takes every key of a job but `after` now.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION read_exit_codes(given jsonb) RETURNS smallint[] LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT ARRAY (SELECT DISTINCT code::numeric::smallint FROM jsonb_array_elements_text(given) AS code ORDER BY 1);
$$;

CREATE OR REPLACE FUNCTION enqueue(job jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    wrong   text;
    began   timestamptz := date_trunc('milliseconds', clock_timestamp());
    due     timestamptz := began;
    random  bytea := uuid_send(gen_random_uuid());
    job_id  text;
    holder  text;
    is_argv boolean := jsonb_typeof(job -> 'command') = 'array';
    a_name         CONSTANT text := '1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit';
    is_name        CONSTANT text := '$ like_regex "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"';
    a_duration     CONSTANT text := 'a number of seconds, or for example 500ms, 90s, 10m, 2h30m, 1d';
    is_duration    CONSTANT text := '$ >= 0 && $ <= 3155760000 || $ != ""
        && $ like_regex "^([0-9]{1,5}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?([0-9]{1,5}ms)?$"';
    are_exit_codes CONSTANT text := '$.type() == "array"
        && !exists($[*] ? (@.type() != "number" || @ != @.floor() || @ < 0 || @ > 255))';
BEGIN
    IF jsonb_typeof(job) IS DISTINCT FROM 'object' OR octet_length(job::text) > 1 << 20 THEN
        RAISE 'a job is a JSON object of at most 1 MiB' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT string_agg(CASE
        WHEN allowed IS NULL THEN format('there is no key %s here', to_jsonb(given.key))
        ELSE format('%s is %s: use %s', given.key, left(given.value::text, 60), allowed)
    END, '; ' ORDER BY given.key)
    INTO wrong
    FROM jsonb_each(job || CASE WHEN job ? 'command' THEN '{}' ELSE '{"command": null}' END::jsonb) AS given
    LEFT JOIN (VALUES
        ('command', 'a shell command, or an array of a program and its arguments',
            '($.type() == "string" && $ like_regex "\\S") || ($.type() == "array" && $.size() > 0 && $[0] != ""
                && !exists($[*] ? (@.type() != "string")))'),
        ('id', a_name, is_name),
        ('queue', a_name, is_name),
        ('priority', 'an integer from -1000000 to 1000000', '$ == $.floor() && $ >= -1000000 && $ <= 1000000'),
        ('run_at', 'an ISO 8601 time',
            '$ like_regex "^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+ ?(Z|[+-][0-9:]+)?)?$"'),
        ('delay', a_duration, is_duration),
        ('timeout', a_duration, '($ >= 0.001 || $ like_regex "[1-9]") && (' || is_duration || ')'),
        ('max_retries', 'an integer from 0 to 1000', '$ == $.floor() && $ >= 0 && $ <= 1000'),
        ('backoff', 'exponential, linear or fixed', '$ == "exponential" || $ == "linear" || $ == "fixed"'),
        ('backoff_base', 'a number of at least 1', '$ >= 1 && $ < 1.79e308'),
        ('backoff_max', a_duration, is_duration),
        ('backoff_jitter', 'a number from 0 to 1', '$ >= 0 && $ <= 1'),
        ('retry_on', 'an array of exit codes (0 to 255)', are_exit_codes),
        ('no_retry_on', 'an array of exit codes (0 to 255)', are_exit_codes),
        ('unique', 'a string of at least one character', '$.type() == "string" && $ != ""'),
        ('concurrency_key', 'a string of at least one character', '$.type() == "string" && $ != ""'),
        ('concurrency_limit', 'an integer from 1 to 1000000', '$ == $.floor() && $ >= 1 && $ <= 1000000'),
        ('cwd', 'an absolute path', '$ starts with "/"'),
        ('env', 'an object of strings, whose names have no = and do not begin with QUEUECTL_',
            '$.type() == "object" && !exists($.keyvalue() ? (@.value.type() != "string" || @.key == ""
                || @.key like_regex "=" || @.key starts with "QUEUECTL_"))'),
        ('stdin', 'a string', '$.type() == "string"'),
        ('tags', 'an array of strings of at least one character',
            '$.type() == "array" && !exists($[*] ? (@.type() != "string" || @ == ""))'),
        ('on_conflict', 'refuse, or ignore', '$ == "refuse" || $ == "ignore"')
    ) AS known (key, allowed, condition) USING (key)
    WHERE condition IS NULL OR NOT coalesce(jsonb_path_match(given.value, ('strict ' || condition)::jsonpath), false);
    IF wrong IS NOT NULL OR job ?& ARRAY['run_at', 'delay'] THEN
        RAISE '%', coalesce(wrong, 'run_at and delay are given: keep one') USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF job ? 'run_at' THEN
        due := date_trunc('milliseconds', (job ->> 'run_at')::timestamptz);
    ELSIF job ? 'delay' THEN
        due := began + read_duration(job -> 'delay');
    END IF;
    -- Of the random bytes those in the middle are not random in every bit.
    SELECT coalesce(
        job ->> 'id',
        string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', get_byte(random, place) % 32 + 1, 1), '')
    )
    INTO job_id FROM unnest(ARRAY[0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]) AS place;
    LOOP
        INSERT INTO jobs (
            id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, backoff,
            backoff_base, backoff_max, backoff_jitter, retry_on, no_retry_on, is_argv, tags, cwd, command, env, stdin,
            unique_key, concurrency_key, concurrency_limit
        )
        VALUES (
            job_id, 'pending', due <= began, coalesce(job ->> 'queue', 'default'),
            coalesce((job ->> 'priority')::numeric, 0), due, began, began, read_duration(job -> 'timeout'),
            (job ->> 'max_retries')::numeric, job ->> 'backoff', (job ->> 'backoff_base')::double precision,
            read_duration(job -> 'backoff_max'), (job ->> 'backoff_jitter')::double precision,
            CASE WHEN job ? 'retry_on' THEN read_exit_codes(job -> 'retry_on') END,
            read_exit_codes(job -> 'no_retry_on'), is_argv, ARRAY (SELECT jsonb_array_elements_text(job -> 'tags')),
            coalesce(job ->> 'cwd', '/'), job ->> 'command', coalesce(job -> 'env', '{}'),
            coalesce(job ->> 'stdin', ''), job ->> 'unique', job ->> 'concurrency_key',
            coalesce((job ->> 'concurrency_limit')::numeric, 1)
        )
        ON CONFLICT DO NOTHING;
        EXIT WHEN FOUND;
        SELECT id INTO holder FROM jobs
        WHERE id = job_id OR (unique_key = job ->> 'unique' AND finished_at IS NULL) ORDER BY id <> job_id LIMIT 1;
        -- It may have come to its end meanwhile, or be gone.
        CONTINUE WHEN holder IS NULL;
        IF job ->> 'on_conflict' = 'ignore' THEN
            RETURN holder;
        ELSIF holder = job_id THEN
            RAISE 'the id % is taken: choose another, or say on_conflict ignore to leave that job be', job_id
                USING ERRCODE = 'unique_violation';
        END IF;
        RAISE 'the unique key % is taken by job %, which is not final yet', quote_literal(job ->> 'unique'), holder
            USING ERRCODE = 'unique_violation';
    END LOOP;
    PERFORM pg_notify('queuectl', current_schema());
    RETURN job_id;
END
$$;
