-- What a cluster asks of its streams: one per partition of the telemetry topic, named by prefix and number.

-- name: checkpoints(streams)
SELECT stream, "offset", state FROM servitize.stream_snapshot WHERE stream = ANY(:streams);

-- name: positions(streams)
SELECT stream, next_offset FROM servitize.stream_position WHERE stream = ANY(:streams);

-- name: skip_to(stream, next)^
-- Go on behind records that nobody has any more. The epoch moves too, so whoever holds the stream drops its state.
UPDATE servitize.stream_position SET next_offset = :next, epoch = epoch + 1
 WHERE stream = :stream AND next_offset < :next RETURNING next_offset;

-- name: audit_skip(stream, actor, lost)!
INSERT INTO servitize.audit_log (actor, action, object, detail)
VALUES (:actor, 'stream.records_given_up', :stream, jsonb_build_object('records', :lost::bigint));

-- name: listen_outbox()!
LISTEN servitize_outbox;

-- name: publish_position(stream)$
SELECT next_offset FROM servitize.stream_position WHERE stream = :stream;

-- name: outbox_after(after, max_rows)
SELECT o.seq, o.kind, t.slug, e.key, o.payload, servitize.to_us(o.created_at)
  FROM servitize.outbox o
  JOIN servitize.tenant t ON t.id = o.tenant_id
  LEFT JOIN servitize.equipment e ON e.id = o.equipment_id
 WHERE o.seq > :after ORDER BY o.seq LIMIT :max_rows;

-- name: lead_outbox()$
-- One publisher at a time; the lock goes with the connection of whoever holds it.
SELECT pg_try_advisory_lock(hashtext('servitize.publish_outbox'));

-- name: open_publication(stream)!
INSERT INTO servitize.stream_position (stream) VALUES (:stream) ON CONFLICT (stream) DO NOTHING;

-- name: published(stream, seq)!
UPDATE servitize.stream_position SET next_offset = :seq WHERE stream = :stream AND next_offset < :seq;
