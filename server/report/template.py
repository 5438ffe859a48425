"""The report's page, as Jinja templates. In modules, because Flower ships only modules.

The page's frame and the sections of the layers are here; the tables are in `server.report.tables`.
"""

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Privacy budget of run {{ r.run.id[:12] }}: {{ headline[0] }} ({{ headline[1] }})</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<h1>Privacy budget: {{ headline[0] }}<small>{{ headline[1] }}</small></h1>
<p class="lead">Run <code>{{ r.run.id }}</code> · {{ r.run.recipe }}, {{ r.run.variant }}, {{ r.run.preset }}
{% if r.run.settings %}({{ r.run.settings }}){% endif %} ·
{{ r.status.name }}</p>
{% for warning in r.warnings %}
<p class="alarm" role="alert">{{ warning }}</p>
{% endfor %}

<section class="summary" aria-label="Summary">
{% for sentence in r.summary %}
<p>{{ sentence }}</p>
{% endfor %}
</section>
{% if r.federation.levels %}
<dl class="tiles">
{% for level in r.federation.levels if level.sites == r.federation.overlap %}
<div><dt>Guaranteed, with all earlier runs, patient at {{ level.sites }} site{{ "s" if level.sites > 1 }}</dt>
<dd>{{ level.guaranteed.cost | figure }}</dd></div>
<div><dt>The same, if every plan was fixed beforehand</dt>
<dd>{{ level.if_planned.cost.pld | figure }}</dd></div>
{% endfor %}
<div><dt>This run by itself, costliest site ({{ r.federation.costliest }})</dt>
<dd>{{ alone | figure }}</dd></div>
</dl>
{% endif %}

{% for layer in r.layers %}
<section id="{{ layer.name }}">
<h2><span>{{ loop.index }}</span> {{ layer.title }}</h2>
<p class="question">{{ layer.question }}</p>
<div class="scope">
<div><h3>Covered</h3>
{% if layer.covered %}
<ul>
{% for item in layer.covered %}
<li>{{ item }}</li>
{% endfor %}
</ul>
{% else %}
<p>Nothing: this report does not cover it.</p>
{% endif %}
</div>
<div><h3>Not covered</h3>
<ul>
{% for item in layer.not_covered %}
<li>{{ item }}</li>
{% endfor %}
</ul>
</div>
</div>
{% if layer.name == "epsilon" and r.groups %}
{{ tables.epsilon() }}
{% elif layer.name == "algorithm" %}
{{ tables.algorithm() }}
{% elif layer.name == "correctness" and r.groups %}
{{ tables.correctness() }}
{% elif layer.name == "channels" %}
<dl class="facts"><dt>Noise</dt><dd>{{ r.run.noise_in_words }}</dd></dl>
{% elif layer.name == "security" %}
{{ tables.security() }}
{% elif layer.name == "trust" %}
{{ tables.trust() }}
{% elif layer.name == "data" and r.participation %}
{{ tables.data() }}
{% endif %}
</section>
{% endfor %}
<footer>The layers are those of the evaluation pyramid of NIST SP 800-226. Everything on this page follows from the
ledger; <code>willis audit verify</code> makes it again and compares every byte. {{ r.format }}</footer>
</main>
</body>
</html>
"""
