-- How many learners a supervisor may have at once: as many as it says, and no more than its municipality's
-- rule R12 lets anyone have.
create or replace function supervisor_takes(v vault.supervisor) returns int language sql stable as $$
    select least(v.most_at_once, (select case when not t.switched_off
            then (t.parameters ->> 'at_once')::numeric::int end from rule_setting t
        where t.municipality = v.municipality and t.rule = 'R12'
        and current_date between t.valid_from and coalesce(t.valid_to, 'infinity')
        order by t.valid_from desc limit 1))
$$
