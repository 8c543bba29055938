-- Shown per equipment: what its devices numbered and never arrived, and what was refused of what they sent. Counted in the transaction that
-- stores the events and refusals themselves, so a tally is exact, and it outlives them when retention deletes them.

CREATE TABLE servitize.intake_tally (
    equipment_id int NOT NULL REFERENCES servitize.equipment,
    what         text NOT NULL,
    times        bigint NOT NULL,
    amount       bigint NOT NULL,
    newest_at    timestamptz NOT NULL,
    PRIMARY KEY (equipment_id, what)
) WITH (fillfactor = 50);
COMMENT ON TABLE servitize.intake_tally IS
    'what = sequence_gap: times gaps, amount messages missing in them. what = refused.REASON: times refusals, amount readings refused.';
COMMENT ON COLUMN servitize.intake_tally.newest_at IS 'Of gaps the event time, of refusals the time of receipt.';

ALTER TABLE servitize.intake_tally ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY platform ON servitize.intake_tally TO servitize_owner, servitize_writer USING (true) WITH CHECK (true);
CREATE POLICY mine ON servitize.intake_tally FOR SELECT TO servitize_api, servitize_board
    USING (equipment_id IN (SELECT m.equipment_id FROM servitize.my_equipment m));
GRANT SELECT ON servitize.intake_tally TO servitize_api, servitize_board, servitize_writer;
GRANT INSERT, UPDATE ON servitize.intake_tally TO servitize_writer;

-- How many messages a gap says are missing. A device may send events of any kind and content, so a word that is no count counts as nothing.
CREATE FUNCTION servitize.missing_in(body jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN CASE WHEN jsonb_typeof(body->'missing') = 'number'
                THEN least(greatest((body->>'missing')::numeric, 0), 1e15)::bigint ELSE 0 END;
GRANT EXECUTE ON FUNCTION servitize.missing_in TO servitize_writer;

INSERT INTO servitize.intake_tally (equipment_id, what, times, amount, newest_at)
SELECT e.equipment_id, 'sequence_gap', count(*), sum(servitize.missing_in(e.body))::bigint, max(e.ts)
  FROM servitize.event e WHERE e.kind = 'sequence_gap' GROUP BY e.equipment_id
UNION ALL
SELECT d.equipment_id, 'refused.' || d.reason, sum(d.count)::bigint, sum(d.readings)::bigint, max(d.last_received_at)
  FROM servitize.dead_letter d WHERE d.equipment_id IS NOT NULL GROUP BY d.equipment_id, d.reason;
