-- A function by which an application stores a job inside its own transaction.
--
-- It acts with the rights of the store's owner, so that an application needs none but to call it. So its names must not
-- be looked up among a caller's temporary tables first; and to call it is to run commands, which not everyone may.

SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);

CREATE FUNCTION read_duration(given jsonb) RETURNS interval LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT make_interval(secs => round(CASE jsonb_typeof(given)
        WHEN 'number' THEN given::numeric ELSE extract(epoch FROM (given #>> '{}')::interval)
    END, 3)::double precision);
$$;

CREATE FUNCTION enqueue(job jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    wrong   text;
    began   timestamptz := date_trunc('milliseconds', clock_timestamp());
    due     timestamptz := began;
    random  bytea := uuid_send(gen_random_uuid());
    job_id  text;
    is_new  boolean;
    is_argv boolean := jsonb_typeof(job -> 'command') = 'array';
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
        ('id', '1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit',
            '$ like_regex "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"'),
        ('queue', '1 to 128 of the characters A-Z a-z 0-9 . _ : -, the first a letter or digit',
            '$ like_regex "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"'),
        ('priority', 'an integer from -1000000 to 1000000', '$ == $.floor() && $ >= -1000000 && $ <= 1000000'),
        ('run_at', 'an ISO 8601 time',
            '$ like_regex "^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}([T ][0-9:.]+ ?(Z|[+-][0-9:]+)?)?$"'),
        ('delay', 'a number of seconds, or for example 500ms, 90s, 10m, 2h30m, 1d',
            '$ >= 0 && $ <= 3155760000
                || $ != "" && $ like_regex "^([0-9]{1,5}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?([0-9]{1,5}ms)?$"'),
        ('timeout', 'a number of seconds, or for example 500ms, 90s, 10m, 2h30m, 1d',
            '$ >= 0.001 && $ <= 3155760000 || $ like_regex "[1-9]"
                && $ like_regex "^([0-9]{1,5}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?([0-9]{1,5}ms)?$"'),
        ('max_retries', 'an integer from 0 to 1000', '$ == $.floor() && $ >= 0 && $ <= 1000'),
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
    INSERT INTO jobs (
        id, state, ready, queue, priority, run_at, created_at, updated_at, timeout, max_retries, no_retry_on, is_argv,
        tags, cwd, command, env, stdin
    )
    VALUES (
        job_id, 'pending', due <= began, coalesce(job ->> 'queue', 'default'),
        coalesce((job ->> 'priority')::numeric, 0), due, began, began, read_duration(job -> 'timeout'),
        (job ->> 'max_retries')::numeric, '{}', is_argv,
        ARRAY (SELECT jsonb_array_elements_text(job -> 'tags')), coalesce(job ->> 'cwd', '/'), job ->> 'command',
        coalesce(job -> 'env', '{}'), coalesce(job ->> 'stdin', '')
    )
    ON CONFLICT (id) DO NOTHING
    RETURNING true INTO is_new;
    IF is_new IS NULL AND job ->> 'on_conflict' IS DISTINCT FROM 'ignore' THEN
        RAISE 'the id % is taken: choose another, or say on_conflict ignore to leave that job be', job_id
            USING ERRCODE = 'unique_violation';
    END IF;
    PERFORM pg_notify('queuectl', current_schema());
    RETURN job_id;
END
$$;

REVOKE ALL ON FUNCTION enqueue(jsonb) FROM PUBLIC;
