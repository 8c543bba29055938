-- name: open_stream(stream)!
INSERT INTO servitize.stream_position (stream) VALUES (:stream) ON CONFLICT (stream) DO NOTHING;

-- name: lock_stream(stream)$
-- Waits for the transaction of whoever held the stream until now.
SELECT latest_clean FROM servitize.stream_position WHERE stream = :stream FOR UPDATE;

-- name: take_stream(stream)^
UPDATE servitize.stream_position SET epoch = epoch + 1, latest_clean = false, acquired_at = now()
 WHERE stream = :stream RETURNING epoch, next_offset;

-- name: repair_latest()$
SELECT servitize.repair_latest();

-- name: snapshot(stream)^
SELECT "offset", state FROM servitize.stream_snapshot WHERE stream = :stream;

-- name: journal(stream, after, before)
SELECT "offset", record FROM servitize.stream_journal
 WHERE stream = :stream AND "offset" > :after AND "offset" < :before ORDER BY "offset";

-- name: position(stream)^
SELECT epoch, next_offset FROM servitize.stream_position WHERE stream = :stream;

-- name: advance(stream, epoch, first, next)$
UPDATE servitize.stream_position SET next_offset = :next
 WHERE stream = :stream AND epoch = :epoch AND next_offset = :first RETURNING next_offset;

-- name: leave_stream(stream, epoch)!
UPDATE servitize.stream_position SET latest_clean = true WHERE stream = :stream AND epoch = :epoch;

-- name: ensure_partitions(first, last)^
SELECT servitize.to_us(covered_from), servitize.to_us(covered_to) FROM servitize.ensure_partitions(:first, :last);

-- name: rollup_generation()$
-- NULL where the engine keeps its own log of what is to be rolled up. Holds a shared lock to the end of the transaction.
SELECT servitize.rollup_generation();

-- name: note_hours(generation, points, hours)!
INSERT INTO servitize.rollup_dirty (generation, point_id, hour)
SELECT :generation, * FROM unnest(:points::int[], :hours::timestamptz[]);

-- name: copy_readings()!
COPY servitize.reading (point_id, ts, value, quality, received_at) FROM STDIN (FORMAT BINARY);

-- name: copy_latest()!
COPY (SELECT point_id, ts, value, quality, received_at FROM servitize.latest_reading) TO STDOUT (FORMAT BINARY);

-- name: insert_readings(points, times, values, qualities, received)$
-- Readings whose key may be taken but mostly is not: how many were new.
WITH stored AS (
    INSERT INTO servitize.reading (point_id, ts, value, quality, received_at)
    SELECT * FROM unnest(:points::int[], :times::timestamptz[], :values::float8[], :qualities::smallint[], :received::timestamptz[])
    ON CONFLICT (point_id, ts) DO NOTHING
    RETURNING 1)
SELECT count(*) FROM stored;

-- name: settle_readings(points, times, values, qualities, received, low, high)^
-- Readings whose keys are all taken by now: the winner stands (storage/merge.py has the same rule; 252: all quality bits but
-- late and receipt_time). Gives how many equal what stood there, and how many do not. The lateral probe cannot become a scan.
WITH known AS MATERIALIZED (
    SELECT i.*, r.value AS old_value, r.quality & 252 AS old_quality
      FROM unnest(:points::int[], :times::timestamptz[], :values::float8[], :qualities::smallint[], :received::timestamptz[])
           AS i (point_id, ts, value, quality, received_at)
     CROSS JOIN LATERAL (
           SELECT x.value, x.quality FROM servitize.reading x
            WHERE x.point_id = i.point_id AND x.ts = i.ts AND x.ts >= :low AND x.ts <= :high LIMIT 1) r),
written AS (
    INSERT INTO servitize.reading AS o (point_id, ts, value, quality, received_at)
    SELECT k.point_id, k.ts, k.value, k.quality, k.received_at FROM known k
     WHERE (k.quality & 192, k.value, k.quality & 252) > (k.old_quality & 192, k.old_value, k.old_quality)
    ON CONFLICT (point_id, ts) DO UPDATE
       SET value = excluded.value, quality = excluded.quality, received_at = excluded.received_at
     WHERE (excluded.quality & 192, excluded.value, excluded.quality & 252) > (o.quality & 192, o.value, o.quality & 252))
SELECT count(*) FILTER (WHERE (value, quality & 252) IS NOT DISTINCT FROM (old_value, old_quality)),
       count(*) FILTER (WHERE (value, quality & 252) IS DISTINCT FROM (old_value, old_quality))
  FROM known;

-- name: flush_latest(points, times, values, qualities, received)!
INSERT INTO servitize.latest_reading AS l (point_id, ts, value, quality, received_at)
SELECT * FROM unnest(:points::int[], :times::timestamptz[], :values::float8[], :qualities::smallint[], :received::timestamptz[])
ON CONFLICT (point_id) DO UPDATE
   SET ts = excluded.ts, value = excluded.value, quality = excluded.quality, received_at = excluded.received_at
 WHERE excluded.ts >= l.ts;

-- name: store_events(equipment, kinds, times, hashes, bodies, received)$
WITH stored AS (
    INSERT INTO servitize.event (equipment_id, kind, ts, hash, body, received_at)
    SELECT * FROM unnest(:equipment::int[], :kinds::text[], :times::timestamptz[], :hashes::bytea[], :bodies::jsonb[],
                         :received::timestamptz[])
    ON CONFLICT (equipment_id, kind, ts, hash) DO NOTHING
    RETURNING equipment_id, kind, ts, body),
tallied AS (
    INSERT INTO servitize.intake_tally AS t (equipment_id, what, times, amount, newest_at)
    SELECT s.equipment_id, 'sequence_gap', count(*), sum(servitize.missing_in(s.body))::bigint, max(s.ts)
      FROM stored s WHERE s.kind = 'sequence_gap' GROUP BY s.equipment_id ORDER BY s.equipment_id
    ON CONFLICT (equipment_id, what) DO UPDATE
       SET times = t.times + excluded.times, amount = t.amount + excluded.amount,
           newest_at = greatest(t.newest_at, excluded.newest_at))
SELECT count(*) FROM stored;

-- name: store_waveforms(equipment, times, hashes, rates, samples, channels, speeds, loads, rotations, purposes, retentions, requests, metas, encodings, tachos, data, received)$
WITH stored AS (
    INSERT INTO servitize.waveform (equipment_id, ts, hash, rate, samples, channels, speed, load, rotation, purpose, retention, request,
                                    meta, encoding, tacho, data, received_at)
    SELECT w.equipment_id, w.ts, w.hash, w.rate, w.samples, w.channels, w.speed, w.load, w.rotation, w.purpose, w.retention, w.request,
           w.meta, w.encoding, nullif(w.tacho, ''), w.data, w.received_at
      FROM unnest(:equipment::int[], :times::timestamptz[], :hashes::bytea[], :rates::float8[], :samples::int[], :channels::jsonb[],
                  :speeds::float8[], :loads::float8[], :rotations::text[], :purposes::text[], :retentions::text[], :requests::text[],
                  :metas::jsonb[], :encodings::text[], :tachos::bytea[], :data::bytea[], :received::timestamptz[])
           AS w (equipment_id, ts, hash, rate, samples, channels, speed, load, rotation, purpose, retention, request, meta, encoding,
                 tacho, data, received_at)
    ON CONFLICT (equipment_id, ts, hash) DO NOTHING
    RETURNING 1)
SELECT count(*) FROM stored;

-- name: store_cycles(equipment, kinds, components, starts, ends, hashes, values, received)$
WITH stored AS (
    INSERT INTO servitize.cycle (equipment_id, kind, component, ts, ended_at, hash, values, received_at)
    SELECT * FROM unnest(:equipment::int[], :kinds::text[], :components::text[], :starts::timestamptz[], :ends::timestamptz[],
                         :hashes::bytea[], :values::jsonb[], :received::timestamptz[])
    ON CONFLICT (equipment_id, kind, component, ts, hash) DO NOTHING
    RETURNING 1)
SELECT count(*) FROM stored;

-- name: store_dead_letters(hashes, tenants, equipment, topics, payloads, sizes, reasons, details, firsts, lasts, counts, readings)!
WITH letter AS MATERIALIZED (
    SELECT * FROM unnest(:hashes::bytea[], :tenants::int[], :equipment::int[], :topics::text[], :payloads::bytea[], :sizes::int[],
                         :reasons::text[], :details::text[], :firsts::timestamptz[], :lasts::timestamptz[], :counts::bigint[],
                         :readings::bigint[])
           AS l (hash, tenant_id, equipment_id, topic, payload, payload_bytes, reason, detail, first_at, last_at, count, readings)),
tallied AS (
    INSERT INTO servitize.intake_tally AS t (equipment_id, what, times, amount, newest_at)
    SELECT l.equipment_id, 'refused.' || l.reason, sum(l.count)::bigint, sum(l.readings)::bigint, max(l.last_at)
      FROM letter l WHERE l.equipment_id IS NOT NULL GROUP BY l.equipment_id, l.reason ORDER BY l.equipment_id, l.reason
    ON CONFLICT (equipment_id, what) DO UPDATE
       SET times = t.times + excluded.times, amount = t.amount + excluded.amount,
           newest_at = greatest(t.newest_at, excluded.newest_at))
INSERT INTO servitize.dead_letter AS d
    (hash, tenant_id, equipment_id, topic, payload, payload_bytes, reason, detail, first_received_at, last_received_at, count, readings)
SELECT * FROM letter
ON CONFLICT (hash) DO UPDATE
   SET count = d.count + excluded.count, readings = d.readings + excluded.readings, detail = excluded.detail,
       last_received_at = greatest(d.last_received_at, excluded.last_received_at),
       first_received_at = least(d.first_received_at, excluded.first_received_at);

-- name: store_states(equipment, times, states)!
INSERT INTO servitize.state_change (equipment_id, at, state)
SELECT * FROM unnest(:equipment::int[], :times::timestamptz[], :states::text[])
ON CONFLICT (equipment_id, at) DO UPDATE SET state = excluded.state;

-- name: record_health(assessments)!
SELECT servitize.record_health(:assessments);

-- name: record_prognoses(prognoses)!
-- What champions said last stands in remaining_life too. In one order everywhere.
WITH told AS MATERIALIZED (
    SELECT t.equipment_id, t.model, t.component, t.version, servitize.from_us(t.at) AS at, t.champion, t.p10, t.p50, t.p90, t.unit,
           t.horizon, servitize.from_us(t.date_p10) AS date_p10, servitize.from_us(t.date_p50) AS date_p50,
           servitize.from_us(t.date_p90) AS date_p90
      FROM jsonb_to_recordset(:prognoses::jsonb) AS t (
           equipment_id int, model text, component text, version int, at bigint, champion boolean, p10 float8, p50 float8, p90 float8,
           unit text, horizon float8, date_p10 bigint, date_p50 bigint, date_p90 bigint)),
history AS (
    INSERT INTO servitize.prognosis (equipment_id, model, component, version, at, champion, p10, p50, p90, unit, horizon, date_p10,
                                     date_p50, date_p90)
    SELECT * FROM told
    ON CONFLICT (equipment_id, model, component, at, version) DO NOTHING)
INSERT INTO servitize.remaining_life AS r (equipment_id, component, model, version, at, p10, p50, p90, unit, horizon, date_p10, date_p50,
                                           date_p90)
SELECT DISTINCT ON (t.equipment_id, t.component, t.model) t.equipment_id, t.component, t.model, t.version, t.at, t.p10, t.p50, t.p90,
       t.unit, t.horizon, t.date_p10, t.date_p50, t.date_p90
  FROM told t
 WHERE t.champion
 ORDER BY t.equipment_id, t.component, t.model, t.at DESC, t.version DESC
ON CONFLICT (equipment_id, component, model) DO UPDATE
   SET version = excluded.version, at = excluded.at, p10 = excluded.p10, p50 = excluded.p50, p90 = excluded.p90, unit = excluded.unit,
       horizon = excluded.horizon, date_p10 = excluded.date_p10, date_p50 = excluded.date_p50, date_p90 = excluded.date_p90
 WHERE excluded.at >= r.at;

-- name: record_scores(scores)!
INSERT INTO servitize.model_score (equipment_id, model, component, version, at, champion, score, change, concern, text, contributions)
SELECT s.equipment_id, s.model, s.component, s.version, servitize.from_us(s.at), s.champion, s.score, s.change, s.concern, s.text,
       s.contributions
  FROM jsonb_to_recordset(:scores::jsonb) AS s (
       equipment_id int, model text, component text, version int, at bigint, champion boolean, score float8, change text, concern text,
       text text, contributions jsonb)
ON CONFLICT (equipment_id, model, at, version, component, concern) DO NOTHING;

-- name: record_drifts(drifts)!
INSERT INTO servitize.model_drift (equipment_id, model, version, at, since, champion, index, drifted, points)
SELECT d.equipment_id, d.model, d.version, servitize.from_us(d.at), servitize.from_us(d.since), d.champion, d.index, d.drifted, d.points
  FROM jsonb_to_recordset(:drifts::jsonb) AS d (
       equipment_id int, model text, version int, at bigint, since bigint, champion boolean, index float8, drifted boolean, points jsonb)
ON CONFLICT (equipment_id, model, version, at) DO NOTHING;

-- name: apply_transitions(transitions)^
SELECT fresh, announced FROM servitize.apply_transitions(:transitions);

-- name: count(stream, names, counts)!
INSERT INTO servitize.conservation AS c (stream, name, count)
SELECT :stream, n.name, n.count FROM unnest(:names::text[], :counts::bigint[]) AS n (name, count)
ON CONFLICT (stream, name) DO UPDATE SET count = c.count + excluded.count;

-- name: write_journal(stream, offsets, records)!
INSERT INTO servitize.stream_journal (stream, "offset", record)
SELECT :stream, j.place, j.record FROM unnest(:offsets::bigint[], :records::bytea[]) AS j (place, record);

-- name: write_snapshot(stream, place, state)!
INSERT INTO servitize.stream_snapshot (stream, "offset", state) VALUES (:stream, :place, :state)
ON CONFLICT (stream) DO UPDATE SET "offset" = excluded."offset", state = excluded.state, taken_at = now();

-- name: cut_journal(stream, place)!
DELETE FROM servitize.stream_journal WHERE stream = :stream AND "offset" <= :place;
