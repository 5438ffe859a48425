"""The tables of the layers below the algorithm: correctness, security, trust, data."""

CORRECTNESS = """
{% macro correctness() %}
<dl class="facts"><dt>Code agreed on</dt><dd><code>{{ r.run.code }}</code></dd></dl>
<h3>Three accountants</h3>
{{ chart(charts.accountants, "PLD is reported. RDP is an upper bound by other mathematics. PRV, or the
exact Gaussian "
  "where nothing was sampled, must be within 0.02 + 1 % of PLD. All at the federation's δ, per patient, "
  "add/remove.") }}
{% call table("Every price by three accountants; nothing is published while they disagree",
  ["Sites", "What", "PLD, reported", "RDP, upper bound", "PRV or exact", "Agree"]) %}
{% for group in r.groups %}
<tr><th scope="rowgroup" rowspan="{{ 1 + group.composition | length }}">{{ sites(group.sites) }}</th>
<td>this run</td>{{ three(group.alone) }}</tr>
{% for row in group.composition %}
<tr><td>{{ "everything" if loop.last else "up to " ~ row.run[:12] }}</td>{{ three(row.cumulative) }}</tr>
{% endfor %}
{% endfor %}
{% for level in r.federation.levels %}
<tr><th scope="row">all</th><td>a patient at {{ level.sites }} site{{ "s" if level.sites > 1 }}</td>
{{ three(level.if_planned.cost) }}</tr>
{% endfor %}
{% endcall %}
{% endmacro %}
"""

SECURITY = """
{% macro security() %}
<dl class="facts">
<dt>Ledger</dt><dd>{{ r.ledger.size }} entries, Merkle root <code>{{ r.ledger.root }}</code></dd>
<dt>Coordinator's key</dt><dd><code>{{ r.federation.public_key }}</code></dd>
<dt>Model after the last round</dt><dd><code>{{ r.run.model or "none" }}</code></dd>
</dl>
{% if r.participation %}
<h3>Who took part</h3>
{{ chart(charts.participation, "Blue, from the bottom: the share of the rounds a column stands for in which
the site
  was averaged; red on top: refused; empty: absent.") }}
{% call table("Rounds by site; sites with the same numbers together",
  ["Sites", "Averaged", "Refused", "Absent"]) %}
{% for names, row in attendance %}
<tr><th scope="row">{{ sites(names) }}</th><td>{{ row.averaged }}</td><td>{{ row.refused }}</td>
<td>{{ row.absent }}</td></tr>
{% endfor %}
{% endcall %}
{% endif %}
<h3>Incidents and refusals</h3>
{% if r.incidents %}
{% call table("What went wrong, in order of the ledger", ["Entry", "Kind", "What", "Rounds"]) %}
{% for row in r.incidents %}
<tr><td>{{ row.entry }}</td><td>{{ row.kind }}</td><td>{{ row.what }}</td><td>{{ row.rounds | rounds }}</td></tr>
{% endfor %}
{% endcall %}
{% else %}
<p>None on record.</p>
{% endif %}
{% if r.releases %}
<h3>Released</h3>
{% for release in r.releases %}
<p>{{ "SIMULATION, not a release: " if release.kind == "simulation" }}
{% if "what" in release %}a trained network, SHA-256{% else %}{{ release.cases }} synthetic cases, SHA256SUMS
{% endif %}
<code>{{ release.manifest }}</code></p>
<ul>
{% for decision in release.decisions %}
<li>{{ decision.decision | capitalize }} by {{ decision.steward }}
{{ "(" ~ decision.words ~ ")" if decision.words }}</li>
{% else %}
<li>Approved by nobody: {{ "a simulation needs no approval" if release.kind == "simulation" else
"no steward was named when it left" }}</li>
{% endfor %}
</ul>
{% call table("What the release gate found; all of it from synthetic images and this ledger, at no cost",
  ["Check", "Lets it leave", "Found"]) %}
{% for check in release.gate %}
<tr><th scope="row">{{ check.name }}</th><td>{{ "yes" if check.passed else "no" }}</td>
<td>{{ check.words }}</td></tr>
{% endfor %}
{% endcall %}
{% endfor %}
{% endif %}
{% endmacro %}
"""

TRUST = """
{% macro trust() %}
<blockquote><p>{{ r.statement }}</p></blockquote>
{% if r.conditions %}
<p>It holds on these conditions, which the software keeps and an audit can only partly see:</p>
<ul>
{% for condition in r.conditions %}
<li>{{ condition }}</li>
{% endfor %}
</ul>
{% endif %}
{% if r.federation.levels %}
<h3>Patients at several sites</h3>
{% call table("The federation declares that a patient is at no more than " ~ r.federation.overlap ~ " of
the sites",
  ["Patient at", "If planned", "Guaranteed"]) %}
{% for level in r.federation.levels %}
<tr><th scope="row">{{ level.sites }}</th>
<td>{{ level.if_planned.cost.pld | figure }}<small>{{ level.meaning }}</small></td>
<td>{{ level.guaranteed.cost | figure }}<small>{{ level.guaranteed.condition }}</small></td></tr>
{% endfor %}
{% endcall %}
{% endif %}
{% endmacro %}

{% macro data() %}
{% call table("What is public about every site", ["Site", "Patients (declared)", "Commitment to the patient
list", "Figures"]) %}
{% for row in r.participation %}
<tr><th scope="row">{{ row.site }}</th><td>{{ row.patients if row.patients is not none else "–" }}</td>
<td><code>{{ row.cohort[:16] ~ "…" if row.cohort else "–" }}</code></td>
<td>{{ "the same as of " ~ leaders[row.site] if row.site in leaders else "its own" }}</td></tr>
{% endfor %}
{% endcall %}
{% endmacro %}
"""
