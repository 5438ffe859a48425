"use strict";
// Shows the cases of the page's data block with NiiVue; every control is a native one.
(() => {
  const { Niivue, NVImage } = niivue;
  const at = (id) => document.getElementById(id);
  const cases = JSON.parse(at("cases").textContent);
  const VIEWS = [["axial", 0, 3], ["coronal", 1, 2], ["sagittal", 2, 1], ["three planes", 3], ["3-D", 4]];
  const MASKS = [[255, 90, 54], [47, 209, 232], [255, 211, 61], [186, 120, 255]];  // told apart by light, too
  const nv = new Niivue({
    backColor: [0, 0, 0, 1],
    crosshairGap: 4,
    crosshairWidth: 0,
    crosshairWidthUnit: "mm",
    dragAndDropEnabled: false,
    isNearestInterpolation: true,  // voxels as they are
    isRadiologicalConvention: false,  // as on the contact sheet
    isResizeCanvas: true,
    logLevel: "error",
    scrollRequiresFocus: true,
    viewModeHotKey: "",
  });
  const off = new Set(), on = new Set();  // labels that somebody switched, by title
  let latest = 0;

  const shown = () => cases[at("case").value];
  const isOn = (label) => on.has(label.title) || (label.on && !off.has(label.title));

  function colours(label, index) {
    // NiiVue 0.69 lifts whatever exceeds a table's lower end to 2/256 of it, so the table begins well below 0.
    const table = { R: [], G: [], B: [], A: [], I: [] };
    for (let value = -3; value < 256; value++) {
      const rgb = label.is_mask ? MASKS[index % MASKS.length] : hue((value * 137.508 + 360) % 360);
      ["R", "G", "B"].forEach((channel, n) => table[channel].push(rgb[n]));
      table.A.push(value > 0 ? 255 : 0);
      table.I.push(value);
    }
    return table;
  }

  function hue(degrees) {
    const part = (n) => {
      const k = (n + degrees / 30) % 12;
      return Math.round(255 * (0.58 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
    };
    return [part(0), part(8), part(4)];
  }

  async function volumesOf(one) {
    const image = one.images[at("image").value];
    // A case without an image has its first label as a ground that stays black.
    const ground = image ? { base64: image.data } : { base64: one.labels[0].data, cal_min: 254, cal_max: 255 };
    const loaded = [await NVImage.loadFromBase64({ ...ground, name: "image.nii.gz", colormap: "gray" })];
    for (const [index, label] of one.labels.entries()) {
      const volume = await NVImage.loadFromBase64({ base64: label.data, name: "label.nii.gz", opacity: 0 });
      volume.setColormapLabel(colours(label, index));
      loaded.push(volume);
    }
    return loaded;
  }

  async function showCase() {
    const mine = ++latest;
    at("viewer").setAttribute("aria-busy", "true");
    const loaded = await volumesOf(shown());
    if (mine !== latest) return;
    while (nv.volumes.length) nv.removeVolume(nv.volumes[nv.volumes.length - 1]);
    for (const volume of loaded) nv.addVolume(volume);
    offerViews();
    nv.scene.crosshairPos = nv.mm2frac(shown().start);
    showLabels();
    showView();
    at("viewer").setAttribute("aria-busy", "false");
  }

  function showLabels() {
    const share = at("opacity").value / 100;
    at("percent").value = `${at("opacity").value} %`;
    shown().labels.forEach((label, index) => nv.setOpacity(index + 1, isOn(label) ? share : 0));
  }

  function showView() {
    const [name, type, axis] = VIEWS[at("view").value];
    nv.opts.crosshairWidth = type === 3 ? 0.7 : 0;
    nv.setSliceType(type);
    at("slice").parentElement.hidden = !axis || nv.volumes[0].dimsRAS[axis] < 2;
    if (axis) at("slice").max = nv.volumes[0].dimsRAS[axis];
    nv.createOnLocationChange();
    at("canvas").setAttribute("aria-label", `${shown().name}, ${name}`);
  }

  function moveSlice() {
    const axis = VIEWS[at("view").value][2];
    nv.scene.crosshairPos[axis - 1] = (at("slice").value - 0.5) / nv.volumes[0].dimsRAS[axis];
    nv.drawScene();
    nv.createOnLocationChange();
  }

  nv.onLocationChange = ({ mm, values }) => {
    const axis = VIEWS[at("view").value][2], one = shown();
    if (axis) {
      const count = nv.volumes[0].dimsRAS[axis];
      at("slice").value = Math.floor(nv.scene.crosshairPos[axis - 1] * count) + 1;
      at("number").value = `${at("slice").value} of ${count}`;
    }
    const point = ["x", "y", "z"].map((name, n) => `${name} ${mm[n].toFixed(1)}`).join(", ");
    const read = one.labels.map((label, n) => `${label.title} ${values[n + 1].value}`);
    if (one.images.length) read.unshift(`image ${Number(values[0].value.toPrecision(4))}`);
    at("here").value = `At ${point} mm: ${read.join(", ")}`;
  };

  function offer(select, names) {
    const before = select.selectedOptions[0]?.textContent;
    select.replaceChildren(...names.map(([name, value]) => new Option(name, value, false, name === before)));
    select.parentElement.hidden = names.length < 2;
  }

  function offerViews() {
    // A thin volume, such as a patch, is a picture: it is seen along its one-voxel axis and no other.
    const thin = [3, 2, 1].find((axis) => nv.volumes[0].dimsRAS[axis] < 2);
    const fitting = VIEWS.map(([name], n) => [name, n]).filter(([, n]) => !thin || VIEWS[n][2] === thin);
    offer(at("view"), fitting);
  }

  function offerCase() {
    const one = shown();
    offer(at("image"), one.images.map((image, n) => [image.title, n]));
    const boxes = one.labels.map((label, index) => {
      const row = document.createElement("label"), box = document.createElement("input");
      const mark = document.createElement("i"), name = document.createElement("span");
      box.type = "checkbox";
      box.checked = isOn(label);
      box.addEventListener("change", () => {
        (box.checked ? on : off).add(label.title);
        (box.checked ? off : on).delete(label.title);
        showLabels();
      });
      if (label.is_mask) mark.style.backgroundColor = `rgb(${MASKS[index % MASKS.length].join(" ")})`;
      else mark.style.background = "conic-gradient(#e66,#dd4,#4c6,#4cd,#66e,#d5c,#e66)";
      name.textContent = label.title;
      row.append(box, mark, name);
      return row;
    });
    at("labels").replaceChildren(at("labels").firstElementChild, ...boxes);
    at("labels").hidden = at("opacity").parentElement.hidden = !boxes.length;
  }

  function fail(error) {
    at("viewer").hidden = true;
    at("failure").textContent = `The cases cannot be shown here (${error.message}). Browsers with WebGL 2 can.`;
    at("failure").hidden = false;
  }

  async function start() {
    at("failure").hidden = true;
    at("viewer").hidden = false;
    offer(at("case"), cases.map((one, n) => [one.name, n]));
    offerCase();
    await nv.attachToCanvas(at("canvas"));
    await nv.setVolumeRenderIllumination(0.6);  // shape, not a silhouette
    at("case").addEventListener("change", () => { offerCase(); showCase().catch(fail); });
    at("image").addEventListener("change", () => showCase().catch(fail));
    at("view").addEventListener("change", showView);
    at("slice").addEventListener("input", moveSlice);
    at("opacity").addEventListener("input", showLabels);
    at("controls").addEventListener("submit", (event) => event.preventDefault());
    await showCase();
  }
  start().catch(fail);
})();
