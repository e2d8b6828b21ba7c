import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";

interface Props {
  trigger: ReactNode;
  defaultOpen?: boolean;
  children: ReactNode;
}

export function Menu({ trigger, defaultOpen, children }: Props) {
  return (
    <DropdownMenu.Root modal={false} defaultOpen={defaultOpen ?? false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="end" sideOffset={4} collisionPadding={8}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

interface ItemProps {
  icon?: ReactNode;
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
  children: ReactNode;
}

export function MenuItem({ icon, danger, disabled, onSelect, children }: ItemProps) {
  return (
    <DropdownMenu.Item
      className={danger ? "danger" : ""}
      onSelect={onSelect}
      disabled={disabled ?? false}
    >
      {icon}
      {children}
    </DropdownMenu.Item>
  );
}

export const MenuLine = () => <DropdownMenu.Separator />;
