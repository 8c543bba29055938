-- How long what learned models said is kept. By itself it goes after a while, since it is made anew every step of every machine's clock; what labels
-- are judged by, and what still holds, stays.
CREATE OR REPLACE FUNCTION servitize.retention_kinds() RETURNS TABLE (kind text, finer text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
    VALUES ('raw', NULL), ('minute', 'raw'), ('hour', 'minute'), ('day', 'hour'), ('event', NULL), ('state', NULL),
           ('health', NULL), ('transition', NULL), ('alarm_journal', NULL), ('dead_letter', NULL), ('audit', NULL), ('cycle', NULL),
           ('waveform_short', NULL), ('waveform_routine', NULL), ('waveform_reference', NULL),
           ('prognosis', NULL), ('model_score', NULL), ('model_drift', NULL)
$$;
ALTER TABLE servitize.retention_policy DROP CONSTRAINT retention_policy_kind_check;
ALTER TABLE servitize.retention_policy ADD CONSTRAINT retention_policy_kind_check
    CHECK (kind IN ('raw', 'minute', 'hour', 'day', 'event', 'state', 'health', 'transition', 'alarm_journal', 'dead_letter', 'audit',
                    'cycle', 'waveform_short', 'waveform_routine', 'waveform_reference', 'prognosis', 'model_score', 'model_drift'));
-- a year and a month: each season beside the one before
INSERT INTO servitize.retention_policy (tenant_id, kind, keep)
VALUES (NULL, 'prognosis', interval '400 days'), (NULL, 'model_score', interval '400 days'), (NULL, 'model_drift', interval '3 years');

-- For how long after an alarm of a model, and before a failure, one is asked about the other unless another horizon is given (compare_scores).
CREATE FUNCTION servitize.judged_within() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN interval '30 days';

CREATE FUNCTION servitize.refuse_unjudged() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'what models said is kept for % at least: only then is it known whether they were right', servitize.judged_within()
        USING ERRCODE = 'SV400';
END $$;
CREATE TRIGGER judged_first BEFORE INSERT OR UPDATE ON servitize.retention_policy
    FOR EACH ROW WHEN (NEW.kind IN ('prognosis', 'model_score') AND NEW.keep < servitize.judged_within())
    EXECUTE FUNCTION servitize.refuse_unjudged();

-- Written in the order of time, so that a few words per block range find what is old.
CREATE INDEX prognosis_at ON servitize.prognosis USING brin (at);
CREATE INDEX model_score_at ON servitize.model_score USING brin (at);
-- alarms of models are few among the looks in between
CREATE INDEX model_score_change ON servitize.model_score (equipment_id, model, version, component, at) WHERE change IS NOT NULL;

-- Stretches before failures and defects on record, by which models are judged whatever their age.
CREATE FUNCTION servitize.judged_stretches(machines int[]) RETURNS TABLE (equipment_id int, since timestamptz, until timestamptz)
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT o.equipment_id, o.at - servitize.judged_within(), o.at FROM servitize.confirmed_outcome o
     WHERE o.equipment_id = ANY (machines) AND o.verdict IN ('failure', 'defect') AND o.withdrawn_at IS NULL
    UNION
    SELECT v.equipment_id, v.ts - servitize.judged_within(), v.ts FROM servitize.event v
     WHERE v.equipment_id = ANY (machines) AND v.kind = 'failure'
$$;

-- As before, and what models said: but what led to a failure on record, an alarm of a model that still stands, the last look at drift.
ALTER FUNCTION servitize.expire_rows(int, text, boolean) RENAME TO expire_rows_but_learned;
CREATE FUNCTION servitize.expire_rows(tenant int, of_kind text, dry boolean DEFAULT false) RETURNS bigint
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
            SELECT DISTINCT ON (s.equipment_id, s.model, s.version, s.component) s.equipment_id, s.model, s.version, s.component, s.at, s.change
              FROM servitize.model_score s WHERE s.equipment_id = ANY (mine) AND s.change IS NOT NULL
             ORDER BY s.equipment_id, s.model, s.version, s.component, s.at DESC),
        old AS (
            SELECT x.equipment_id, x.model, x.component, x.at, x.version FROM servitize.model_score x
             WHERE x.equipment_id = ANY (mine) AND x.at < due
               AND NOT EXISTS (SELECT FROM judged j WHERE j.equipment_id = x.equipment_id AND x.at BETWEEN j.since AND j.until)
               AND NOT EXISTS (SELECT FROM last l WHERE l.change = 'raised'
                                  AND (l.equipment_id, l.model, l.version, l.component, l.at)
                                    = (x.equipment_id, x.model, x.version, x.component, x.at))),
        cut AS (
            DELETE FROM servitize.model_score x USING old o
             WHERE NOT dry AND (x.equipment_id, x.model, x.at, x.version, x.component) = (o.equipment_id, o.model, o.at, o.version, o.component))
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
REVOKE EXECUTE ON FUNCTION servitize.expire_rows_but_learned(int, text, boolean), servitize.judged_stretches(int[]),
    servitize.judged_within(), servitize.refuse_unjudged() FROM PUBLIC, servitize_writer;
REVOKE EXECUTE ON FUNCTION servitize.expire_rows(int, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.expire_rows(int, text, boolean) TO servitize_writer;
