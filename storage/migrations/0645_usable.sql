-- As in 0590 (a value that a mean or an extreme may rest on), but not STRICT: only so is it inlined, and a call costs ten times what it does.
CREATE OR REPLACE FUNCTION servitize.usable(value float8, quality smallint) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN quality >= 64 AND abs(value) < 1e300;
