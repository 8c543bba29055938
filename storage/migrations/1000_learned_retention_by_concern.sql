-- As before (0995), but an alarm of a model stands by concern: where an instrument's became the machine's at one moment, what was cleared
-- is not what was raised.
CREATE OR REPLACE FUNCTION servitize.expire_rows(tenant int, of_kind text, dry boolean DEFAULT false) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    due  timestamptz;
    gone bigint;
    mine int[] := ARRAY(SELECT e.id FROM servitize.equipment e WHERE e.tenant_id = tenant);
BEGIN
    IF of_kind NOT IN ('prognosis', 'model_score', 'model_drift') THEN
        RETURN servitize.expire_rows_but_learned(tenant, of_kind, dry);
    END IF;
    SELECT r.before INTO due FROM servitize.retention_rows() r WHERE r.tenant_id IS NOT DISTINCT FROM tenant AND r.kind = of_kind;
    IF due IS NULL THEN
        RETURN 0;
    END IF;
    IF of_kind = 'prognosis' THEN
        WITH judged AS MATERIALIZED (SELECT * FROM servitize.judged_stretches(mine)),
        old AS (
            SELECT x.equipment_id, x.model, x.component, x.at, x.version FROM servitize.prognosis x
             WHERE x.equipment_id = ANY (mine) AND x.at < due
               AND NOT EXISTS (SELECT FROM judged j WHERE j.equipment_id = x.equipment_id AND x.at BETWEEN j.since AND j.until)),
        cut AS (
            DELETE FROM servitize.prognosis x USING old o
             WHERE NOT dry AND (x.equipment_id, x.model, x.component, x.at, x.version) = (o.equipment_id, o.model, o.component, o.at, o.version))
        SELECT count(*) INTO gone FROM old;
    ELSIF of_kind = 'model_score' THEN
        WITH judged AS MATERIALIZED (SELECT * FROM servitize.judged_stretches(mine)),
        last AS MATERIALIZED (
            SELECT DISTINCT ON (s.equipment_id, s.model, s.version, s.component, s.concern)
                   s.equipment_id, s.model, s.version, s.component, s.concern, s.at, s.change
              FROM servitize.model_score s WHERE s.equipment_id = ANY (mine) AND s.change IS NOT NULL
             ORDER BY s.equipment_id, s.model, s.version, s.component, s.concern, s.at DESC),
        old AS (
            SELECT x.equipment_id, x.model, x.component, x.concern, x.at, x.version FROM servitize.model_score x
             WHERE x.equipment_id = ANY (mine) AND x.at < due
               AND NOT EXISTS (SELECT FROM judged j WHERE j.equipment_id = x.equipment_id AND x.at BETWEEN j.since AND j.until)
               AND NOT EXISTS (SELECT FROM last l WHERE l.change = 'raised'
                                  AND (l.equipment_id, l.model, l.version, l.component, l.concern, l.at)
                                    = (x.equipment_id, x.model, x.version, x.component, x.concern, x.at))),
        cut AS (
            DELETE FROM servitize.model_score x USING old o
             WHERE NOT dry AND (x.equipment_id, x.model, x.at, x.version, x.component, x.concern)
                             = (o.equipment_id, o.model, o.at, o.version, o.component, o.concern))
        SELECT count(*) INTO gone FROM old;
    ELSE
        WITH old AS (
            SELECT x.equipment_id, x.model, x.version, x.at FROM servitize.model_drift x
             WHERE x.equipment_id = ANY (mine) AND x.at < due AND EXISTS (
                   SELECT FROM servitize.model_drift n WHERE n.equipment_id = x.equipment_id AND n.model = x.model AND n.at > x.at)),
        cut AS (
            DELETE FROM servitize.model_drift x USING old o
             WHERE NOT dry AND (x.equipment_id, x.model, x.version, x.at) = (o.equipment_id, o.model, o.version, o.at))
        SELECT count(*) INTO gone FROM old;
    END IF;
    IF NOT dry THEN
        PERFORM servitize.count_expired(of_kind, tenant, of_kind, gone);
    END IF;
    RETURN gone;
END $$;
