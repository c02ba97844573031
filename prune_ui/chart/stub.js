// All that travels with every message: fetch the module once a window, then hand over.
export default function (component) {
  const message = JSON.parse(new TextDecoder().decode(component.data));
  const lab = (window.__labChart ??= {});
  const ready = lab[message.module];
  if (ready?.draw) return ready.draw(component, message);
  return (async () => {
    lab[message.module] ??= import(new URL(message.module, document.location.origin).href);
    const module = await lab[message.module];
    lab[message.module] = module;
    return module.draw(component, message);
  })();
}
