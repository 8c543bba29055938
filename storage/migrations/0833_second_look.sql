-- A case that nothing was decided of is looked at again when more waveforms have come: a fault that is young shows itself later.
CREATE OR REPLACE FUNCTION servitize.claim_case()
    RETURNS TABLE (case_id bigint, tenant_id int, equipment_id int, component text, about timestamptz)
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE servitize.diagnosis_case c SET attempts = c.attempts + 1
      FROM servitize.equipment e
     WHERE e.id = c.equipment_id AND c.id = (
           SELECT x.id FROM servitize.diagnosis_case x
            WHERE (x.diagnosed_at IS NULL AND x.attempts < 3 AND x.state <> 'closed')
               OR (x.state = 'open' AND x.attempts < 24 AND jsonb_array_length(coalesce(x.diagnosis->'decided', '[]')) = 0
                   AND EXISTS (SELECT FROM servitize.waveform w
                                WHERE w.equipment_id = x.equipment_id AND w.ts > x.about AND w.received_at > x.diagnosed_at))
            ORDER BY x.attempts, x.id LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING c.id, e.tenant_id, c.equipment_id, c.component,
              greatest(c.about, CASE WHEN c.diagnosed_at IS NOT NULL THEN (
                  SELECT max(w.ts) FROM servitize.waveform w WHERE w.equipment_id = c.equipment_id) END)
$$;
