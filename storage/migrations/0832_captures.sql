-- What is still to be told to devices, told with this transaction.
CREATE FUNCTION servitize.take_captures(most int) RETURNS TABLE (topic text, payload bytea)
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH due AS (
        SELECT r.id FROM servitize.capture_request r WHERE r.sent_at IS NULL AND r.expires_at > clock_timestamp()
         ORDER BY r.id LIMIT most FOR UPDATE SKIP LOCKED),
    told AS (
        UPDATE servitize.capture_request r SET sent_at = clock_timestamp() FROM due WHERE r.id = due.id RETURNING r.*)
    SELECT format('servitize/v1/%s/%s/commands/%s', t.slug, e.key, r.word),
           convert_to(jsonb_build_object('command', 'capture', 'request', r.word, 'channels', r.channels, 'seconds', r.seconds,
                                         'expires', servitize.to_us(r.expires_at) / 1000)::text, 'UTF8')
      FROM told r JOIN servitize.equipment e ON e.id = r.equipment_id JOIN servitize.tenant t ON t.id = e.tenant_id
$$;
REVOKE EXECUTE ON FUNCTION servitize.take_captures FROM PUBLIC;
GRANT EXECUTE ON FUNCTION servitize.take_captures TO servitize_writer;
