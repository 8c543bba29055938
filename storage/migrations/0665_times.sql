-- As in 0001, twenty times cheaper: STABLE, since only then the planner puts the expression in the function's place (date_part is, though an
-- epoch knows no time zone), and in float8 instead of numeric. A moment's microseconds fit: seconds are exact to a quarter of one until 2106.
CREATE OR REPLACE FUNCTION servitize.to_us(moment timestamptz) RETURNS bigint
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (date_part('epoch', moment) * 1000000)::bigint;
