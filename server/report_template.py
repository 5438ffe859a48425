"""The report's page, as a Jinja template. In a module, because Flower ships only modules."""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Privacy budget of run {{ r.run.id[:12] }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>Privacy budget</h1>
<p class="lead">Run <code>{{ r.run.id }}</code> · {{ r.run.recipe }}, {{ r.run.variant }}, {{ r.run.preset }} ·
{{ r.status.name }}</p>
{% for warning in r.warnings %}
<p class="alarm" role="alert">{{ warning }}</p>
{% endfor %}

<section class="summary" aria-label="Summary">
{% for sentence in r.summary %}
<p>{{ sentence }}</p>
{% endfor %}
</section>
{% if r.federation %}
<dl class="tiles">
<div><dt>This run alone, costliest site ({{ r.federation.alone.worst_site }})</dt>
<dd>{{ r.federation.alone.maximum | figure }}</dd></div>
<div><dt>With all earlier runs, costliest site ({{ r.federation.composed.worst_site }})</dt>
<dd>{{ r.federation.composed.maximum | figure }}</dd></div>
<div><dt>If a patient were at two such sites</dt>
<dd>{{ r.federation.composed.patient_at_two_sites | figure }}</dd></div>
</dl>
{% endif %}

{% if r.sites %}
<h2 id="rounds">What the patients spent, round by round</h2>
{% if spending_chart %}
<figure>{{ spending_chart }}
<figcaption>{{ meanings | join(". ") }}.</figcaption></figure>
{% else %}
<p>There is no finite ε to draw.</p>
{% endif %}
<div class="wide" tabindex="0" role="region" aria-label="Table of spending by round">
<table>
<caption>After some rounds, and always the last; with all earlier runs on the same patients.</caption>
<thead><tr><th scope="col">Site</th><th scope="col">Round</th><th scope="col">Spent</th></tr></thead>
<tbody>
{% for names, points in histories %}
{% for point in points %}
<tr>{% if loop.first %}<th scope="rowgroup" rowspan="{{ loop.length }}">{{ names | join(", ") }}</th>{% endif %}
<td>{{ point.round }}</td><td>{{ point.cost.text }}</td></tr>
{% endfor %}
{% endfor %}
</tbody></table></div>

<h2 id="budget">What is left</h2>
{% if budget_chart %}
<figure>{{ budget_chart }}
<figcaption>{{ meanings | join(". ") }}.</figcaption></figure>
{% endif %}
<div class="wide" tabindex="0" role="region" aria-label="Table of budgets by site">
<table>
<caption>Every site, priced by two independent accountants, PLD above RDP. Epsilons do not add up
exactly: what is left says how near the cap is.</caption>
<thead><tr><th scope="col">Site</th><th scope="col">Patients (declared)</th><th scope="col">State</th>
<th scope="col">This run</th><th scope="col">With earlier runs</th><th scope="col">Cap</th>
<th scope="col">Left</th></tr></thead>
<tbody>
{% for site in r.sites %}
<tr><th scope="row">{{ site.site }}</th><td>{{ site.patients }}</td><td>{{ site.status }}</td>
<td>{{ site.alone.pld | figure }}{{ site.alone.rdp | figure }}</td>
<td>{{ site.composed.pld | figure }}{{ site.composed.rdp | figure }}</td>
<td>{{ site.cap | figure }}</td><td>{{ site.left | figure }}</td></tr>
{% endfor %}
</tbody></table></div>
<div class="wide" tabindex="0" role="region" aria-label="Table of reservations and settlements">
<table>
<caption>What each site set aside before training, what it says it executed, and what that means to a patient.
</caption>
<thead><tr><th scope="col">Site</th><th scope="col">Reserved</th><th scope="col">Settled</th>
<th scope="col">Rounds</th><th scope="col">Telling whether a patient took part</th></tr></thead>
<tbody>
{% for site in r.sites %}
<tr><th scope="row">{{ site.site }}</th><td>{{ site.reserved.text }}</td>
<td>{{ site.settled.text if site.settled else "not yet: all that is reserved counts" }}</td>
<td>{{ site.rounds if site.rounds is not none else "–" }}</td><td>{{ site.membership.text }}</td></tr>
{% endfor %}
</tbody></table></div>

<h2 id="composition">What adds up</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table of composition">
<table>
<caption>Every private run on the same patients, in order, with the running total (σ: noise multiplier, q: sampling
rate). Rounds and clip norm of earlier runs stand in their own ledgers.</caption>
<thead><tr><th scope="col">Site</th><th scope="col">Run</th><th scope="col">Recipe</th><th scope="col">Rounds</th>
<th scope="col">Mechanism</th><th scope="col">Clip norm</th><th scope="col">Alone</th>
<th scope="col">Total so far</th></tr></thead>
<tbody>
{% for row in r.composition %}
<tr><th scope="row">{{ row.site }}</th><td><code class="id">{{ row.run[:12] }}</code></td>
<td>{{ row.recipe }}, {{ row.variant }}</td><td>{{ row.rounds if row.rounds is not none else "–" }}</td>
<td>{{ row.spending.text }}<small>unit: {{ row.spending.unit }}; {{ row.spending.relation }}</small></td>
<td>{{ row.clip_norm if row.clip_norm is not none else "–" }}</td>
<td>{{ row.alone.pld | figure }}{{ row.alone.rdp | figure }}</td>
<td>{{ row.cumulative.pld | figure }}{{ row.cumulative.rdp | figure }}</td></tr>
{% endfor %}
</tbody></table></div>
{% for row in r.earlier_non_private %}
<p class="alarm">Not composed: run <code>{{ row.run[:12] }}</code> ({{ row.recipe }}, {{ row.variant }}) was
trained on the patients of {{ row.site }} without noise (ε = ∞). What was made from it is outside every figure
here.</p>
{% endfor %}
<p>{{ r.federation.condition }}</p>
{% endif %}

<h2 id="statement">What is guaranteed</h2>
<blockquote><p>{{ r.statement }}</p></blockquote>
{% if r.conditions %}
<p>It holds on these conditions, which the software keeps and an audit can only partly see:</p>
<ul>
{% for condition in r.conditions %}
<li>{{ condition }}</li>
{% endfor %}
</ul>
{% endif %}
<h3>What is not covered</h3>
<ul>
{% for item in r.not_covered %}
<li>{{ item }}</li>
{% endfor %}
</ul>

<h2 id="run">The run</h2>
<dl class="facts">
<dt>State</dt><dd>{{ r.status.text }}</dd>
<dt>Rounds</dt><dd>{{ r.run.rounds_done }} of {{ r.run.rounds_planned }}, {{ r.run.steps_per_round }} private steps
each</dd>
<dt>Clip norm</dt><dd>{{ r.run.clip_norm if r.run.clip_norm is not none else "none: nothing was clipped" }}</dd>
<dt>Sampling rate</dt><dd>{{ r.run.sampling_rate }} of the patients a step</dd>
<dt>Records per patient</dt><dd>{{ r.run.records_per_patient }} a step</dd>
<dt>Noise</dt><dd>{{ r.run.noise_in_words }}</dd>
<dt>Pre-trained on</dt><dd>{{ r.run.pretrained_on }}</dd>
<dt>Public seed</dt><dd>{{ r.run.public_seed }}</dd>
<dt>Model after the last round</dt><dd><code>{{ r.run.model or "none" }}</code></dd>
<dt>Ledger</dt><dd>{{ r.ledger.size }} entries, Merkle root <code>{{ r.ledger.root }}</code></dd>
</dl>
{% if r.releases %}
<h3>Released</h3>
<ul>
{% for release in r.releases %}
<li>{{ release.cases }} synthetic cases, SHA256SUMS <code>{{ release.manifest }}</code></li>
{% endfor %}
</ul>
{% endif %}
{% if r.refusals %}
<h3>Refused</h3>
<ul>
{% for refusal in r.refusals %}
<li>{{ "Before training" if refusal.round == 0 else "Round " ~ refusal.round }}, {{ refusal.site }}, by the
{{ refusal.by }} ({{ refusal.code }}): {{ refusal.reason }}</li>
{% endfor %}
</ul>
{% endif %}
<footer>Everything on this page follows from the ledger; <code>willis audit verify</code> makes it again and
compares every byte. {{ r.format }}</footer>
</main>
</body>
</html>
"""
