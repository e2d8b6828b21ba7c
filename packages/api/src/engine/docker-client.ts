import Docker from "dockerode";

interface Dialled {
  abortSignal?: AbortSignal;
}
type Dial = (options: Dialled, callback: unknown) => void;

/** The same client, over the same connections; what is asked of this one is also given up when `signal` aborts. */
export function abortedBy(docker: Docker, signal: AbortSignal): Docker {
  const modem = docker.modem as unknown as { dial: Dial };
  const dial: Dial = (options, callback) => {
    const { abortSignal } = options;
    const both = abortSignal ? AbortSignal.any([abortSignal, signal]) : signal;
    modem.dial({ ...options, abortSignal: both }, callback);
  };
  // Not every method of dockerode takes a signal; the modem under all of them does.
  return new Docker({
    modem: Object.create(modem, { dial: { value: dial } }),
  } as Docker.DockerOptions);
}
