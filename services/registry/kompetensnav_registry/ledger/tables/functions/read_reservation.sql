-- All that the reservation of one seat is decided by, locked and read in one statement. It decides nothing:
-- `domain.Ledger` does. Null where there is no such slot; 'request' is null where there is no such request.
create or replace function read_reservation(
    p_slot uuid, p_host text, p_request uuid, p_home text, p_by_agreement boolean
) returns jsonb language plpgsql as $$
declare
    w workplace; s slot; r request;
begin
    -- The ledger's lock order: workplace, slots, requests. Each statement sees what was committed before it.
    select workplace.* into w from workplace join slot using (workplace_id)
        where slot.slot_id = p_slot and slot.municipality = p_host for update of workplace;
    if not found then return null; end if;
    perform 1 from slot where workplace_id = w.workplace_id and municipality = p_host
        order by slot_id for update;
    select * into s from slot where slot_id = p_slot and municipality = p_host;
    -- All that the learner asks for, so that nobody gets two places at once.
    perform 1 from request where municipality = p_home and learner_id = (
        select learner_id from request where request_id = p_request and municipality = p_home)
        order by request_id for update;
    select * into r from request where request_id = p_request and municipality = p_home;
    return jsonb_build_object(
        'capacity', w.reception_capacity,
        'slots', (
            select jsonb_agg(case when o.slot_id = p_slot then to_jsonb(o) else jsonb_build_object(
                'slot_id', o.slot_id, 'municipality', o.municipality, 'workplace_id', o.workplace_id,
                'seats', o.seats, 'starts_on', o.starts_on, 'ends_on', o.ends_on,
                'withdrawn_at', o.withdrawn_at, 'supervisor_id', o.supervisor_id, 'elsewhere', o.elsewhere,
                'taken', o.taken, 'seats_left', o.seats_left, 'capacity_revision', o.capacity_revision
            ) end)
            from slot o where o.workplace_id = w.workplace_id and o.municipality = p_host),
        'weeks', (
            select jsonb_agg(jsonb_build_array(week, learners)) from reception_week k
            where k.workplace_id = w.workplace_id and k.municipality = p_host),
        'loads', (
            select jsonb_agg(jsonb_build_array(v.supervisor_id, supervisor_takes(v)))
            from vault.supervisor v where v.workplace_id = w.workplace_id and v.municipality = p_host),
        'held', (
            select jsonb_agg(to_jsonb(h)) from (
                select slot_id, starts_on, ends_on, supervisor_id, count(*) as seats from seat
                where workplace_id = w.workplace_id and municipality = p_host and released_at is null
                group by 1, 2, 3, 4) h),
        'request', case when r.request_id is not null then to_jsonb(r) end,
        'busy', (
            select jsonb_agg(jsonb_build_array(starts_on, ends_on, weekdays)) from offer o
            where o.learner_id = r.learner_id and o.municipality = p_home
            and o.state in ('open', 'confirmed')),
        'agreements', case when p_by_agreement then
            (select jsonb_agg(to_jsonb(a)) from sharing_agreement a) end,
        'learner', (
            select jsonb_build_object(
                'born_on', l.born_on, 'programme', l.programme, 'study_year', l.study_year,
                'security_marking', l.security_marking,
                'school_forms', (select school_forms from school c
                    where c.municipality = l.municipality and c.code = l.school),
                'shown_on', (select max(c.shown_on) from vault.background_check c
                    where c.learner_id = l.learner_id))
            from vault.learner l where l.learner_id = r.learner_id and l.municipality = p_home),
        'settings', (
            select jsonb_agg(to_jsonb(t) order by rule, valid_from) from rule_setting t
            where t.municipality = p_home),
        'supervisor_is_adult', (
            select v.is_adult from vault.supervisor v
            where v.supervisor_id = s.supervisor_id and v.municipality = p_host));
end $$
