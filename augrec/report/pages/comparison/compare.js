// Shows one group of users at a time. Without it each group opens and closes by itself.
const groups = [...document.querySelectorAll("details.group")];
if (groups.length > 1) {
  const choose = (chosen) => {
    for (const group of groups) group.classList.toggle("chosen", group === chosen);
  };
  const field = document.createElement("fieldset");
  field.className = "switch";
  const legend = document.createElement("legend");
  legend.textContent = "Users";
  field.append(legend);
  for (const group of groups) {
    const [label, input] = [document.createElement("label"), document.createElement("input")];
    input.type = "radio";
    input.name = "group";
    input.checked = group === groups[0];
    input.addEventListener("change", () => choose(group));
    label.append(input, group.dataset.title);
    field.append(label);
    group.open = true;
  }
  groups[0].before(field);
  document.documentElement.classList.add("switched");
  choose(groups[0]);
}
