"""The charts and tables inside the report's sections, as Jinja macros; under every chart stands its table."""

from server.report.tables_below import CORRECTNESS, SECURITY, TRUST

_START = """
{% macro chart(image, caption) %}
{% if image %}
<figure>{{ image }}
<figcaption>{{ caption }}</figcaption></figure>
{% else %}
<p class="none">Nothing to draw: there is no finite ε, or nothing happened yet.</p>
{% endif %}
{% endmacro %}

{% macro table(caption, heads) %}
<div class="wide" tabindex="0" role="region" aria-label="{{ caption }}">
<table{% if heads | length > 4 %} class="many"{% endif %}>
<caption>{{ caption }}</caption>
<thead><tr>{% for head in heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>
{{ caller() }}
</tbody></table></div>
{% endmacro %}

{% macro sites(names) %}
{% if names | length <= 4 %}{{ names | join(", ") }}{% else %}{{ names[:3] | join(", ") }} and
{{ names | length - 3 }} more{% endif %}
{% endmacro %}

{% macro three(price) %}
<td>{{ price.pld | figure }}</td>
<td>{{ price.rdp | figure }}</td>
<td>{% if price.tight_refused %}<small>{{ price.tight_refused }}</small>{% else %}{{ price.tight | figure
}}{% endif %}
</td>
<td>{% if price.disagreements is none %}<span class="none">not compared</span>
{% elif price.disagreements %}<b class="bad">no</b>{% for why in price.disagreements %}<small>{{ why }}</small>
{% endfor %}
{% else %}yes{% endif %}</td>
{% endmacro %}
"""

_EPSILON = """
{% macro epsilon() %}
<h3>Spent, round by round</h3>
{{ chart(charts.spending, "If planned. " ~ meanings ~ ". The costliest sites are drawn; the table has all.") }}
{% call table("ε after some rounds, and always the last, with all earlier runs on the same patients; if planned",
  ["Sites", "Round", "Spent"]) %}
{% for group in r.groups %}
{% for point in group.after_rounds %}
<tr>{% if loop.first %}<th scope="rowgroup" rowspan="{{ loop.length }}">{{ sites(group.sites) }}</th>{% endif %}
<td>{{ point.round }}</td><td>{{ point.cost | figure }}</td></tr>
{% endfor %}
{% endfor %}
{% endcall %}

<h3>Spent, reserved and left</h3>
{{ chart(charts.budget, "Shares of the Rényi budget that the cap means at its order (patient, add/remove). Unlike "
  "epsilons, these add up exactly. A red mark: a first plan that leaves no room for another.") }}
{% call table("Budget by site: ε if planned, what is guaranteed, the cap, and what later runs may use",
  ["Sites", "State", "If planned", "Guaranteed", "Cap", "Filter"]) %}
{% for group in r.groups %}
<tr><th scope="row">{{ sites(group.sites) }}</th><td>{{ group.status }}</td>
<td>{{ group.if_planned.cost.pld | figure }}</td>
<td>{{ group.guaranteed.cost | figure }}<small>{{ group.guaranteed.condition }}</small></td>
<td>{{ group.cap | figure }}</td>
<td>{% if group.filter %}order {{ group.filter.order }}: earlier {{ group.filter.before | share }},
this run {{ group.filter.this | share }}, reserved {{ group.filter.reserved | share }}; left
<b>{{ group.filter.left | share(down=true) }}</b>{% else %}<span class="none">no cap holds</span>{% endif
%}</td></tr>
{% endfor %}
{% endcall %}
{% call table("What each site set aside, what it says it executed, and what that means to a patient",
  ["Sites", "Reserved", "Settled", "Rounds", "Telling whether a patient took part, by what is guaranteed"]) %}
{% for group in r.groups %}
<tr><th scope="row">{{ sites(group.sites) }}</th><td>{{ group.reserved.text }}</td>
<td>{{ group.settled.text if group.settled else "not yet: all that is reserved counts" }}</td>
<td>{{ group.rounds if group.rounds is not none else "–" }}</td>
<td>{{ group.membership.guaranteed.text }}</td></tr>
{% endfor %}
{% endcall %}

<h3>ε depends on the δ one chooses</h3>
{{ chart(charts.curve, "Everything on the patients of the costliest sites, if planned, by PLD.") }}
{% if r.curve %}
{% call table("ε at other δ, for the same events at " ~ r.curve.sites[0], ["δ", "Spent"]) %}
{% for point in r.curve.points %}
<tr><th scope="row">{{ "%g" | format(point.delta) }}{{ " (chosen)" if point.delta == r.curve.chosen }}</th>
<td>{{ point | figure }}</td></tr>
{% endfor %}
{% endcall %}
{% endif %}
{% endmacro %}
"""

_ALGORITHM = """
{% macro algorithm() %}
<dl class="facts">
<dt>Plan</dt><dd>{{ r.run.rounds_planned }} rounds of {{ r.run.steps_per_round }} private steps each;
{{ r.run.rounds_done }} rounds done</dd>
<dt>Clip norm</dt><dd>{{ r.run.clip_norm if r.run.clip_norm is not none else "none: nothing was clipped" }}</dd>
<dt>Sampling rate</dt><dd>{{ r.run.sampling_rate }} of the patients a step</dd>
<dt>Records per patient</dt><dd>{{ r.run.records_per_patient }} a step</dd>
<dt>Pre-trained on</dt><dd>{{ r.run.pretrained_on }}</dd>
<dt>State</dt><dd>{{ r.status.text }}</dd>
</dl>
{% if r.groups %}
<h3>What adds up</h3>
{% call table("Every private run on the same patients, in order (σ: noise multiplier, q: sampling rate);
alone and in "
  "all, if planned. Rounds and clip norm of earlier runs stand in their own entries",
  ["Sites", "Run", "Mechanism", "Rounds", "Clip norm", "Alone", "Total so far"]) %}
{% for group in r.groups %}
{% for row in group.composition %}
<tr>{% if loop.first %}<th scope="rowgroup" rowspan="{{ loop.length }}">{{ sites(group.sites) }}</th>{% endif %}
<td><code class="id">{{ row.run[:12] }}</code><small>{{ row.recipe }}, {{ row.variant }}</small></td>
<td>{{ row.spending.text }}<small>unit: {{ row.spending.unit }}; {{ row.spending.relation }}</small></td>
<td>{{ row.rounds if row.rounds is not none else "–" }}</td>
<td>{{ row.clip_norm if row.clip_norm is not none else "–" }}</td>
<td>{{ row.alone.pld | figure }}</td><td>{{ row.cumulative.pld | figure }}</td></tr>
{% endfor %}
{% endfor %}
{% endcall %}
{% endif %}
{% for row in r.earlier_non_private %}
<p class="alarm">Not composed: run <code>{{ row.run[:12] }}</code> ({{ row.recipe }}, {{ row.variant }}) was
trained on the patients of {{ sites(row.sites) }} without noise (ε = ∞). What was made from it is outside every
figure here.</p>
{% endfor %}
{% endmacro %}
"""

TABLES = _START + _EPSILON + _ALGORITHM + CORRECTNESS + SECURITY + TRUST
