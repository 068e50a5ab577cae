{#- Train on a SELECT, make what is derived from the run, and leave no transaction open. Fails when the gate refuses. -#}
{% macro train_model(settings, select) %}
  {% set options = dict(settings.options) %}
  {% if should_full_refresh() %}{% do options.update({'force': true}) %}{% endif %}
  {% for option in ['user_features', 'item_features'] if option in options %}
    {% do options.update({option: embsql.resolve_select(option, options[option])}) %}
  {% endfor %}
  {% set before = embsql.live_run(settings.name) %}
  {% set answer = embsql.run_command(
    'train', [settings.name, select, settings.algorithm, embsql.as_json(options)], settings.timeout
  ) %}
  {% if answer[2] %}
    {% do embsql.fail(
      'run ' ~ answer[0] ~ ' of "' ~ settings.name ~ '" was not made live: ' ~ answer[2] ~ ' What was live stays live'
      ~ (' (run ' ~ before ~ ')' if before else '') ~ ". To make this one live all the same: dbt run-operation embsql.promote "
      ~ "--args '{model: " ~ settings.name ~ '@' ~ answer[0] ~ "}'"
    ) %}
  {% endif %}
  {% set unchanged = answer[0] | int == before | int %}
  {% do log('embsql: ' ~ settings.name ~ (' has not changed, run ' if unchanged else ' is trained, run ') ~ answer[0] ~ ' is live', info=true) %}
  {% if settings.refresh is not none %}{% do embsql.watch_for(settings, select) %}{% endif %}
  {% do embsql.derive(settings, answer[0] | int) %}
{% endmacro %}
