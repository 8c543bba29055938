-- Usable readings of a point in [low, high) as one value: per reading timestamptz_send and float8send, in order of time. What is of class bad
-- or no finite number is no evidence and left out. Half the work of a row per reading; nothing where the point is not visible.
CREATE FUNCTION servitize.readings_packed(point int, low timestamptz, high timestamptz) RETURNS bytea
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    packed bytea;
BEGIN
    IF servitize.point_visible(point) THEN
        -- string_agg puts the second value before every one but the first: no concatenation per reading
        SELECT timestamptz_send(min(r.ts)) || string_agg(float8send(r.value), timestamptz_send(r.ts)) INTO packed
          FROM (SELECT x.ts, x.value FROM servitize.reading x
                 WHERE x.point_id = point AND x.ts >= low AND x.ts < high AND x.quality >= 64 AND abs(x.value) < 'Infinity'
                 ORDER BY x.ts) r;
    END IF;
    RETURN coalesce(packed, '');
END $$;
GRANT EXECUTE ON FUNCTION servitize.readings_packed TO servitize_api;

-- Closing a statement looks for its contract's hold; without this it read those of all contracts.
CREATE INDEX retention_hold_reason ON servitize.retention_hold (reason) WHERE released_at IS NULL;
